import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { BearerToken } from "../src/credentials/BearerToken.ts"
import { inTurn, jwt } from "./support/tokens.ts"

const HOUR = 3600
const MINUTE = 60

const first = jwt("first", HOUR)
const second = jwt("second", 2 * HOUR)

/** What a request shows that goes out now: the token at hand, or the one that it waits for. */
const shown = (token: BearerToken) =>
  Effect.flatMap(
    TestClock.currentTimeMillis,
    (now) => {
      const ready = token.ready(now)
      return ready === undefined ? token.get : Effect.succeed(ready)
    },
  )

/** Lets what goes on in other fibers come to its end. */
const settled = TestClock.adjust(0)

const failing = (text: string) => Effect.fail(new Error(text))

describe("a token", () => {
  it.scoped("is got once, for all requests that want it meanwhile and after", () =>
    Effect.gen(function* () {
      const issuer = inTurn(first, second)
      const token = yield* BearerToken.make(Effect.delay(issuer.token, "3 seconds"))
      const early = yield* Effect.fork(Effect.all([shown(token), shown(token)], { concurrency: 2 }))
      yield* TestClock.adjust("2 seconds")
      const late = yield* Effect.fork(shown(token))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* early, [`Bearer ${first}`, `Bearer ${first}`])
      assert.strictEqual(yield* late, `Bearer ${first}`)
      assert.strictEqual(yield* shown(token), `Bearer ${first}`)
      assert.strictEqual(issuer.asked, 1)
    }))

  it.scoped("is left to the others by whoever does not want it any more", () =>
    Effect.gen(function* () {
      const issuer = inTurn(first)
      const token = yield* BearerToken.make(Effect.delay(issuer.token, "3 seconds"))
      const leaving = yield* Effect.fork(shown(token))
      yield* settled
      const staying = yield* Effect.fork(shown(token))
      yield* settled
      yield* Fiber.interrupt(leaving)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* staying, `Bearer ${first}`)
      assert.strictEqual(issuer.asked, 1)
    }))

  it.scoped("is renewed five minutes before it expires, and does until that is done", () =>
    Effect.gen(function* () {
      const issuer = inTurn(first, second)
      let delay = 0
      const token = yield* BearerToken.make(
        Effect.suspend(() => Effect.delay(issuer.token, delay)),
      )
      yield* shown(token)
      delay = 20_000
      yield* TestClock.setTime((HOUR - 5 * MINUTE) * 1000 - 1)
      assert.strictEqual(yield* shown(token), `Bearer ${first}`)
      assert.strictEqual(issuer.asked, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* shown(token), `Bearer ${first}`)
      assert.strictEqual(yield* shown(token), `Bearer ${first}`)
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(yield* shown(token), `Bearer ${second}`)
      assert.strictEqual(issuer.asked, 2)
    }))

  it.scoped("is waited for where the old one has expired", () =>
    Effect.gen(function* () {
      const issuer = inTurn(first, second)
      const token = yield* BearerToken.make(Effect.delay(issuer.token, "1 second"))
      yield* Effect.fork(shown(token))
      yield* TestClock.adjust("1 second")
      yield* TestClock.setTime(HOUR * 1000)
      const waiting = yield* Effect.fork(shown(token))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* waiting, `Bearer ${second}`)
    }))

  for (
    const [name, text] of [
      ["is no JWT", "opaque.token"],
      ["is one in form alone", "a.b.c"],
      ["does not say when it expires", jwt("lasting")],
    ] as const
  ) {
    it.scoped(`that ${name} is just used`, () =>
      Effect.gen(function* () {
        const issuer = inTurn(text)
        const token = yield* BearerToken.make(issuer.token)
        yield* shown(token)
        yield* TestClock.setTime(1e12)
        assert.strictEqual(yield* shown(token), `Bearer ${text}`)
        assert.strictEqual(issuer.asked, 1)
      }))
  }

  it.scoped("that lasts only minutes is not renewed with each request", () =>
    Effect.gen(function* () {
      const issuer = inTurn(jwt("short", 2 * MINUTE), second)
      const token = yield* BearerToken.make(issuer.token)
      yield* shown(token)
      yield* TestClock.adjust("29 seconds")
      yield* shown(token)
      assert.strictEqual(issuer.asked, 1)
      yield* TestClock.adjust("1 second")
      yield* shown(token)
      yield* settled
      assert.strictEqual(issuer.asked, 2)
    }))

  it.scoped("that cannot be renewed is used while it holds, and the log tells why", () =>
    Effect.gen(function* () {
      const said: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ message }) => void said.push(String(message))),
      )
      let asked = 0
      const token = yield* BearerToken.make(
        Effect.suspend(() => asked++ === 0 ? Effect.succeed(Redacted.make(first)) : failing(`no ${first}!`)),
      )
      yield* Effect.gen(function* () {
        yield* shown(token)
        yield* TestClock.setTime((HOUR - MINUTE) * 1000)
        for (const second of [0, 10, 20]) {
          assert.strictEqual(yield* shown(token), `Bearer ${first}`, `after ${second} s`)
          yield* TestClock.adjust("10 seconds")
        }
        assert.strictEqual(asked, 2, "not with each request")
        yield* shown(token)
        yield* settled
        assert.strictEqual(asked, 3)
        assert.deepStrictEqual(said, Array(2).fill("The token could not be renewed: no <token>!"))
        yield* TestClock.setTime(HOUR * 1000)
        const { code, detail, sent } = yield* Effect.flip(shown(token))
        assert.deepStrictEqual({ code, detail, sent }, {
          code: "NO_TOKEN",
          detail: "no <token>!",
          sent: "no",
        })
      }).pipe(Effect.provide(logger))
    }))

  it.scoped("that was refused is got anew, by the first who hears of it", () =>
    Effect.gen(function* () {
      const issuer = inTurn(first, second)
      const token = yield* BearerToken.make(Effect.delay(issuer.token, "1 second"))
      yield* Effect.fork(shown(token))
      yield* TestClock.adjust("1 second")
      const refused = `Bearer ${first}`
      const renewing = yield* Effect.fork(
        Effect.all([token.renew(refused), token.renew(refused)], { concurrency: 2 }),
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* renewing, [`Bearer ${second}`, `Bearer ${second}`])
      assert.strictEqual(yield* token.renew(refused), `Bearer ${second}`)
      assert.strictEqual(issuer.asked, 2)
    }))

  it.scoped("that is refused, and the only one, is not asked for with each refusal", () =>
    Effect.gen(function* () {
      const issuer = inTurn(first, first, second)
      const token = yield* BearerToken.make(issuer.token)
      const refused = yield* shown(token)
      for (const second of [0, 10, 20]) {
        assert.strictEqual(yield* token.renew(refused), refused, `after ${second} s`)
        yield* TestClock.adjust("10 seconds")
      }
      assert.strictEqual(issuer.asked, 2)
      assert.strictEqual(yield* token.renew(refused), `Bearer ${second}`)
    }))

  it.scoped("is waited for a minute and no longer", () =>
    Effect.gen(function* () {
      const token = yield* BearerToken.make(Effect.never)
      const waiting = yield* Effect.fork(Effect.flip(shown(token)))
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* waiting).detail, "it did not come within 60 s")
    }))

  it.effect("is not waited for when the scope has ended", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const ended = yield* Deferred.make<void>()
      const token = yield* Scope.extend(
        BearerToken.make(Effect.onInterrupt(Effect.never, () => Deferred.succeed(ended, undefined))),
        scope,
      )
      const waiting = yield* Effect.fork(shown(token))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.await(ended)
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(waiting)))
    }))

  for (
    const [name, text, problem] of [
      ["nothing", " \n", "the token is empty"],
      ["the whole header", `Bearer ${first}`, "no token alone"],
      ["what az prints unasked", `{\n  "accessToken": "${first}"\n}`, "--query accessToken --output tsv"],
      ["two lines", `${first}\r\nX-Other: 1`, "no token alone"],
    ] as const
  ) {
    it.scoped(`is not ${name}`, () =>
      Effect.gen(function* () {
        const { detail } = yield* Effect.flip(
          shown(yield* BearerToken.make(Effect.succeed(Redacted.make(text)))),
        )
        assert.include(detail, problem)
        assert.notInclude(detail, first)
      }))
  }

  for (
    const [name, source] of [
      ["a promise that fails", Effect.promise(() => Promise.reject(new Error("no network")))],
      ["a failure without a message", Effect.fail("no network")],
    ] as const
  ) {
    it.scoped(`may come to nothing by ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* Effect.flip(shown(yield* BearerToken.make(source)))).detail, "no network")
      }))
  }

  it.scoped("comes without the line end of a file", () =>
    Effect.gen(function* () {
      const token = yield* BearerToken.make(Effect.succeed(Redacted.make(`${first}\n`)))
      assert.strictEqual(yield* shown(token), `Bearer ${first}`)
    }))
})
