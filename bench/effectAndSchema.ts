// What any program on Effect loads; the start-up of ours is measured beside it.
import "effect/Effect"
import "effect/Schema"
