/** The version of this package, as it stands in its manifests. */
export const version = "0.1.0"
