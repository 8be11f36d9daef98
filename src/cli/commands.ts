/**
 * All commands: names, arguments, options, help. Their code is behind `load`.
 *
 * @module
 */
import type { FabricClient } from "../FabricClient.ts"
import { clusterOptions, globalOptions } from "./globals.ts"
import type { Host } from "./Host.ts"
import type { Output } from "./Output.ts"
import { command, type CommandSpec, type OptionSpecs } from "./Spec.ts"

/** Any command. */
export type Command = CommandSpec<FabricClient | Host | Output>

const SESSION = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"
const sessionId = { summary: `The session's id, a GUID such as ${SESSION}` } as const

const sessions: ReadonlyArray<Command> = [
  command({
    words: ["session", "delete"],
    summary: "Delete an upload session and every chunk that it holds",
    details: "A file that was committed from the session stays. So do files that were there before.",
    cluster: "writes",
    args: { "session-id": sessionId },
    options: { "if-exists": { kind: "flag", summary: "A session that is not there is no error" } },
    examples: [
      ["Give up an upload", `image-store session delete ${SESSION}`],
      ["In a clean-up step", `image-store session delete ${SESSION} --if-exists`],
      ["On another cluster", `image-store session delete ${SESSION} --endpoint https://host:19080`],
    ],
    load: async () => (await import("./session.ts")).remove,
  }),
  command({
    words: ["session", "show"],
    summary: "Show an upload session: its file, and what is still missing",
    cluster: "reads",
    args: { "session-id": sessionId },
    options: {},
    examples: [
      ["See how far an upload is", `image-store session show ${SESSION}`],
      ["Only what is missing", `image-store session show ${SESSION} --json | jq .expected`],
    ],
    load: async () => (await import("./session.ts")).show,
  }),
  command({
    words: ["session", "list"],
    summary: "List the upload sessions of one file",
    details:
      "The path has to be spelled as the upload spelled it. A cluster cannot list the sessions of all files.",
    cluster: "reads",
    args: { path: { summary: "The file in the image store, / between names" } },
    options: {},
    examples: [["Find forgotten uploads of a file", "image-store session list MyApp/Code.zip"]],
    load: async () => (await import("./session.ts")).list,
  }),
  command({
    words: ["session", "commit"],
    summary: "Make the file of an upload session that misses nothing",
    details:
      "The session keeps its chunks on the cluster's disk until it is deleted, so delete it afterwards.",
    cluster: "writes",
    args: { "session-id": sessionId },
    options: {},
    examples: [
      ["Finish an upload", `image-store session commit ${SESSION}`],
      ["A large file takes its time", `image-store session commit ${SESSION} --timeout 600`],
    ],
    load: async () => (await import("./session.ts")).commit,
  }),
  command({
    words: ["session", "clean"],
    summary: "Delete the upload sessions that runs on this machine left behind",
    details:
      "Uploads record their sessions in a folder of your state (XDG_STATE_HOME, or ~/.local/state) before " +
      "they open them. Those of processes that are at work, and of other clusters, are left alone.",
    cluster: "writes",
    args: {},
    options: {
      "dry-run": { kind: "flag", summary: "Only tell what would be deleted" },
      force: { kind: "flag", summary: "Delete also what a process seems to be at work on" },
    },
    examples: [
      ["After a crash", "image-store session clean"],
      ["Look first", "image-store session clean --dry-run"],
    ],
    load: async () => (await import("./clean.ts")).clean,
  }),
]

const uploads: ReadonlyArray<Command> = [
  command({
    words: ["upload"],
    summary: "Upload a file, a folder, or a .sfpkg or .zip package, and leave nothing behind",
    details:
      "Folders and packages are checked before the first byte goes: everything that is wrong is listed at once. " +
      "Ctrl-C cleans up before it ends. The same command resumes an upload that was killed; " +
      "`image-store session clean` ends it instead. Memory: concurrency times chunk size. " +
      "With --json there is one event a line, and the last one is the summary.",
    cluster: "writes",
    args: {
      source: {
        summary: "A file, a folder, or a .sfpkg or .zip file, whose content is uploaded as a folder",
      },
      destination: {
        optional: true,
        summary: "Path in the image store, / between names; without it, the source's name",
      },
    },
    options: {
      concurrency: { kind: "integer", value: "N", summary: "Requests at once, at most; default 4" },
      "chunk-size": {
        kind: "text",
        value: "SIZE",
        summary: "Bytes a request, from 64KiB to 1GiB; default 8MiB. Smaller files go by one request",
      },
      compress: { kind: "flag", summary: "Send code, config and data packages as zip files" },
      "on-failure": {
        kind: "choice",
        value: "WHAT",
        choices: ["remove", "keep"],
        summary: "What becomes of a package that fails where nothing was before; default remove",
      },
      "no-resume": { kind: "flag", summary: "Do not resume what an earlier run left" },
      "clean-stale": {
        kind: "flag",
        summary: "Delete others' sessions for the same files that are untouched for 10 minutes",
      },
      deadline: {
        kind: "text",
        value: "TIME",
        summary: "Give up and clean up after that, such as 90s, 30m or 1h30m; default: none",
      },
      "no-validate": { kind: "flag", summary: "Upload a folder that is no complete application package" },
    },
    examples: [
      ["An application package", "image-store upload ./MyApp"],
      ["The same under a name of its version", "image-store upload MyApp.sfpkg MyApp-1.2"],
      ["One file", "image-store upload Code.pkg MyApp/Web/Code.pkg"],
      ["In CI, for half an hour at most", "image-store upload ./MyApp --deadline 30m --json"],
    ],
    load: async () => (await import("./upload.ts")).upload,
  }),
]

const content: ReadonlyArray<Command> = [
  command({
    words: ["ls"],
    summary: "List a folder of the image store",
    cluster: "reads",
    args: { path: { optional: true, folder: true, summary: "A folder or a file; without it, the root" } },
    options: {},
    examples: [
      ["What is there", "image-store ls"],
      ["One folder, for a program", "image-store ls MyApp --json"],
    ],
    load: async () => (await import("./content.ts")).ls,
  }),
  command({
    words: ["rm"],
    summary: "Delete a file, or a folder with everything below it",
    details: "Before a folder goes, you are asked. Where there is no terminal to ask on, --yes is needed.",
    cluster: "writes",
    args: { path: { folder: true, summary: "The file or folder" } },
    options: { yes: { kind: "flag", summary: "Do not ask" } },
    examples: [
      ["A package that is no longer needed", "image-store rm MyApp"],
      ["In a script", "image-store rm MyApp --yes"],
    ],
    load: async () => (await import("./content.ts")).rm,
  }),
  command({
    words: ["cp"],
    summary: "Copy a file or a folder inside the image store",
    details: "What is at the destination is replaced. A folder can be copied when it holds a _.dir file.",
    cluster: "writes",
    args: {
      source: { folder: true, summary: "The file or folder to copy" },
      destination: { folder: true, summary: "The path of the copy" },
    },
    options: {},
    examples: [["Keep a package under a second name", "image-store cp MyApp MyApp-1.0"]],
    load: async () => (await import("./content.ts")).cp,
  }),
  command({
    words: ["du"],
    summary: "Measure everything below a folder",
    cluster: "reads",
    args: { path: { optional: true, folder: true, summary: "The folder; without it, the whole store" } },
    options: {},
    examples: [["How large a package is", "image-store du MyApp"]],
    load: async () => (await import("./content.ts")).du,
  }),
  command({
    words: ["info"],
    summary: "Show how full the store's disk is, and with what",
    details: "Chunks of uploads that were never finished stand under staging.",
    cluster: "reads",
    args: {},
    options: {},
    examples: [["Is an upload still taking space?", "image-store info"]],
    load: async () => (await import("./content.ts")).info,
  }),
]

const local: ReadonlyArray<Command> = [
  command({
    words: ["emulator"],
    summary: "Run an image store on this machine",
    details: "The first line on stdout is its address; each request is a line on stderr. Ctrl-C stops it.",
    args: {},
    options: {
      port: { kind: "integer", value: "N", summary: "Port to listen on, 0 for any free one; default 19080" },
      host: { kind: "text", value: "HOST", summary: "Address to listen on; default 127.0.0.1" },
      os: {
        kind: "choice",
        value: "OS",
        choices: ["windows", "linux"],
        summary: "Which cluster to be; linux has no upload sessions; default windows",
      },
      data: { kind: "text", value: "DIR", summary: "Folder that keeps the content; default: in memory" },
      latency: {
        kind: "integer",
        value: "MS",
        summary: "Milliseconds that each answer takes on the way, up to 60000; default 0",
      },
      bandwidth: {
        kind: "integer",
        value: "MBIT",
        summary: "Megabits a second of the line that all uploads share; default: no limit",
      },
      chaos: {
        kind: "text",
        value: "PLAN",
        summary: "What goes wrong: product, random, random:SEED or random:SEED:SHARE, a share from 0 to 1",
      },
    },
    examples: [
      ["A cluster to try things on", "image-store emulator"],
      ["Any free port, content kept between runs", "image-store emulator --port 0 --data ./store"],
      ["A line to another continent", "image-store emulator --latency 150 --bandwidth 50"],
      [
        "Every fifth request goes wrong, the same way each time",
        "image-store emulator --chaos random:42:0.2",
      ],
    ],
    load: async () => (await import("./emulator.ts")).emulator,
  }),
  command({
    words: ["demo"],
    summary: "Watch an upload session be opened, shown and deleted; needs no cluster",
    args: {},
    options: {},
    examples: [["See it work", "image-store demo"]],
    load: async () => (await import("./demo.ts")).demo,
  }),
]

/** All commands, in the groups and the order of the help. */
export const groups: ReadonlyArray<readonly [title: string, commands: ReadonlyArray<Command>]> = [
  ["Uploads", uploads],
  ["Upload sessions", sessions],
  ["Content of the image store", content],
  ["Without a cluster", local],
]

/** All commands. */
export const commands: ReadonlyArray<Command> = groups.flatMap(([, members]) => members)

/** The command that the first of `words` choose, if any. */
export const find = (words: ReadonlyArray<string>): Command | undefined =>
  commands.find((candidate) => candidate.words.every((word, at) => words[at] === word))

/** The options that a command takes. */
export const optionsOf = (command: Command): OptionSpecs => ({
  ...command.options,
  ...(command.cluster === undefined ? {} : clusterOptions),
  ...globalOptions,
})
