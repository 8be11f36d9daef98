import { describe, expect, it } from "@effect/vitest"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import { Emulator, Fault } from "../../src/emulator/mod.ts"
import { inTime, S } from "../support/cluster.ts"
import { imageStore, type Machine } from "./terminal.ts"

const AT = ["--endpoint", "http://one:19080"]

const refused = (name: string, line: ReadonlyArray<string>, says: string | RegExp, machine?: Machine) =>
  it.effect(`refuses ${name}, exits with 2, and sends nothing`, () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(line, machine)
      expect(ran.code).toBe(2)
      expect(ran.out).toBe("")
      expect(ran.err).toMatch(says)
      expect(ran.err).not.toContain("    at ")
      expect(yield* (yield* Emulator).requests).toEqual([])
    }).pipe(Effect.provide(Emulator.layer())))

describe("wrong use", () => {
  refused("no session id", ["session", "delete", ...AT], /Missing argument <session-id>.*--help/)
  for (
    const id of ["", "x", "00000000-0000-0000-0000-000000000000", `{${S}}`, S.replaceAll("-", ""), `${S} `]
  ) {
    refused(`the session id "${id}"`, ["session", "delete", id, ...AT], /GUID/)
    refused(`the session id "${id}" to show`, ["session", "show", id, ...AT], /GUID/)
  }
  for (const timeout of ["0", "-1", "1.5", "4294967296", "soon", "1e3"]) {
    refused(`the timeout ${timeout}`, ["session", "delete", S, ...AT, "--timeout", timeout], /--timeout/)
  }
  refused(
    "an endpoint without scheme",
    ["session", "delete", S, "--endpoint", "one:19080"],
    /write http:\/\/one:19080/,
  )
  refused(
    "PowerShell's address",
    ["session", "delete", S, "--endpoint", "one:19000"],
    /the HTTP gateway is at http:\/\/one:19080/,
  )
  refused("tcp://", ["session", "delete", S, "--endpoint", "tcp://one:19000"], /http:\/\/one:19080/)
  refused("a path in the endpoint", ["ls", "--endpoint", "http://one:19080/x"], /write http:\/\/one:19080$/)
  refused("a password in the endpoint", ["ls", "--endpoint", "http://u:secret@one:19080"], /^(?!.*secret)/)
  refused("a source that is a variable without a value", ["upload", "", "App", ...AT], /<source> is empty/)
  refused("no endpoint after all", ["ls", "--endpoint", ""], /--endpoint needs a value/)
  refused("no command", ["--json"], /"exitCode":2/)
  refused("a word that is no command", ["sesion"], /did you mean session\?/)
  refused("the second word alone", ["clean"], /There is no command "clean"; did you mean session clean\?/)
  refused(
    "an option without its hyphens",
    ["version"],
    /There is no command "version"; did you mean --version\?/,
  )
  refused("what every object has", ["constructor"], /There is no command "constructor"; image-store --help/)
  refused(
    "a copy of a folder onto itself",
    ["cp", "App", "app/", ...AT],
    /Cannot copy App to app: source and destination are the same$/,
  )
  refused("half a command", ["session"], /needs one of delete, show, list, commit/)
  refused("half a command with a slip", ["session", "dlete", S], /did you mean delete\?/)
  refused(
    "help on what is no command",
    ["help", "sesion"],
    /There is no command "sesion"; did you mean session/,
  )
  refused("help on half a command with a slip", ["help", "session", "dlete"], /did you mean delete\?/)
  refused("a word too many", ["session", "show", S, "more", ...AT], /"more" is one argument too many/)
  refused("an option of another command", ["ls", "--yes", ...AT], /"ls" takes no option --yes/)
  refused("a cluster for the emulator", ["emulator", ...AT], /"emulator" takes no option --endpoint/)
  refused("a port out of range", ["emulator", "--port", "65536"], /0 to 65535/)
  for (const plan of ["nonsense", "random:", "random:x", "random:1:2", "products"]) {
    refused(`the plan ${plan}`, ["emulator", "--chaos", plan], /is no plan/)
  }
})

describe("errors of the cluster", () => {
  const failing = (name: string, fault: Fault, says: string) =>
    it.effect(`exit with 1: ${name}`, () =>
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(fault, { times: 10 })
        const ran = yield* inTime(imageStore(["session", "delete", S, ...AT]))
        expect(ran.code).toBe(1)
        expect(ran.out).toBe("")
        expect(ran.err).toContain(says)
        expect(ran.err).not.toContain("    at ")
      }).pipe(Effect.provide(Emulator.layer())))

  failing("nobody answers", Fault.refuse, "(after 4 attempts): nobody answered")
  failing("a hang", Fault.hang, "no answer within 65 s")
  failing(
    "a proxy's page",
    Fault.answer({ status: 502, body: "<html>Bad Gateway</html>" }),
    "a proxy may have answered",
  )
  failing("a refusal", Fault.error("E_ACCESSDENIED"), "E_ACCESSDENIED")
  failing("no credentials", Fault.reply(403), "to these credentials")
  failing(
    "a redirect",
    Fault.answer({ status: 302, headers: { Location: "https://x/" } }),
    "a redirect to https://x",
  )

  it.effect("add a stack only with --log-level debug", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(["session", "delete", S, ...AT, "--log-level", "debug"])
      expect(ran.code).toBe(1)
      expect(ran.err).toContain("    at ")
    }).pipe(Effect.provide(Emulator.layer())))
})

it.effect("an error of ours is told as such, and exits with 1", () =>
  Effect.gen(function* () {
    const broken = HttpClient.make(() => Effect.dieMessage("out of order"))
    const ran = yield* Effect.provideService(imageStore(["ls", ...AT]), HttpClient.HttpClient, broken)
    expect(ran.code).toBe(1)
    expect(ran.err).toBe("Internal error: out of order")
  }))
