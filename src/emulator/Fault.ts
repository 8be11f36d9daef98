/**
 * What can go wrong between a client and the store, one request at a time.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as ErrorCode from "./ErrorCode.ts"
import * as Reply from "./Reply.ts"

/** Something that goes wrong with one request. Made by the constructors of the same name. */
export type Fault =
  | { readonly _tag: "Answer"; readonly reply: Reply.Reply }
  | { readonly _tag: "DropAnswer" }
  | { readonly _tag: "Refuse" }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Delay"; readonly millis: number }
  | { readonly _tag: "Late"; readonly millis: number }
  | { readonly _tag: "SlowDisk"; readonly millis: number }
  | { readonly _tag: "FailOver"; readonly millis: number }
  | { readonly _tag: "RollBack" }
  | { readonly _tag: "ForgetChunk" }
  | { readonly _tag: "LoseMessage" }
  | {
    readonly _tag: "LoseReply"
    /** Which answers get lost. */
    readonly when: (status: number) => boolean
    /** The chunk is lost too: only its session was opened. */
    readonly forgetChunk: boolean
  }

/** An answer in full, for what does not come from a gateway: a proxy's page, a redirect, nonsense. */
export interface RawAnswer {
  /** Of HTTP. */
  readonly status: number
  /** The reason phrase. Default: none. */
  readonly reason?: string
  /** Besides those that the gateway writes itself. */
  readonly headers?: Readonly<Record<string, string>>
  /** Default: none. */
  readonly body?: string
}

interface Constructors {
  /**
   * Answers with a status and an error body, and does nothing. Without a code: an empty body.
   *
   * The status is free, so that contradictions can be tested; {@link Constructors.error} takes the code's own.
   */
  readonly reply: (status: number, code?: string, message?: string) => Fault
  /** Answers with a code and the status that goes with it (protocol.md 2.1), and does nothing. */
  readonly error: (code: string, message?: string) => Fault
  /** Answers with exactly that, and does nothing. */
  readonly answer: (answer: RawAnswer) => Fault
  /** 403 without a body: what secured clusters say to an unknown or missing client certificate (protocol.md 6). */
  readonly certificateRequired: Fault
  /** Does the work, then drops the connection without an answer. */
  readonly dropAnswer: Fault
  /** Nothing is sent: the connection is refused. A served emulator, which has accepted it already, resets it. */
  readonly refuse: Fault
  /** Resets the connection before any work. */
  readonly reset: Fault
  /** Takes the request and never answers. No work is done. */
  readonly hang: Fault
  /** The request takes that much longer to arrive, then goes on as ever, also when the client has left. */
  readonly delay: (duration: Duration.DurationInput) => Fault
  /**
   * Drops the connection once it has the body, and does the work that much later: a late chunk. Past the request's
   * `timeout` the gateway has given up, and nothing is done.
   */
  readonly late: (duration: Duration.DurationInput) => Fault
  /**
   * Joining a commit's chunks takes that long. Past the request's `timeout` the gateway answers 504 while the
   * commit goes on; other commits of the path answer `OperationsPending` meanwhile (protocol.md 4.5).
   */
  readonly slowDisk: (duration: Duration.DurationInput) => Fault
  /**
   * The primary moves before this request is handled: sessions, staged chunks and running commits are lost,
   * and for that long there is no primary to ask (503 `E_ABORT`, or waiting; protocol.md 4.6). Zero is fine.
   */
  readonly failOver: (unavailable: Duration.DurationInput) => Fault
  /**
   * A commit fails while its file is moved in: 503 `E_ABORT`, the old version is put back but carries this
   * session's id, so that a repeated commit answers 200 over the old content (protocol.md 4.5).
   */
  readonly rollBack: Fault
  /** 500 `OperationsPending`: another write on the path is under way, says the store. */
  readonly commitPending: Fault
  /** 413 `FABRIC_E_MESSAGE_TOO_LARGE`. */
  readonly tooLarge: Fault
  /** Answers 200 to a chunk without noting that it arrived (peers.md 0.13). */
  readonly forgetChunk: Fault
  /** Gateway and primary lose touch before the work: 504 `FABRIC_E_TIMEOUT` when the `timeout` is over. */
  readonly loseMessage: Fault
  /** Gateway and primary lose touch after the work: 504 `FABRIC_E_TIMEOUT` when the `timeout` is over. */
  readonly loseReply: Fault
}

const failure = (code: string, message: string | undefined): ErrorCode.Failure =>
  message === undefined ? { code } : { code, message }

const answer = (reply: Reply.Reply): Fault => ({ _tag: "Answer", reply })

/** The faults. */
export const Fault: Constructors = {
  reply: (status, code, message) =>
    answer(
      code === undefined
        ? { status, reason: "", headers: {}, body: "" }
        : Reply.errorWith(status, failure(code, message)),
    ),
  error: (code, message) => answer(Reply.error(failure(code, message))),
  answer: (raw) => answer({ reason: "", headers: {}, body: "", ...raw }),
  certificateRequired: answer(Reply.certificateRequired),
  dropAnswer: { _tag: "DropAnswer" },
  refuse: { _tag: "Refuse" },
  reset: { _tag: "Reset" },
  hang: { _tag: "Hang" },
  delay: (duration) => ({ _tag: "Delay", millis: Duration.toMillis(duration) }),
  late: (duration) => ({ _tag: "Late", millis: Duration.toMillis(duration) }),
  slowDisk: (duration) => ({ _tag: "SlowDisk", millis: Duration.toMillis(duration) }),
  failOver: (unavailable) => ({ _tag: "FailOver", millis: Duration.toMillis(unavailable) }),
  rollBack: { _tag: "RollBack" },
  commitPending: answer(Reply.error(ErrorCode.operationsPending)),
  tooLarge: answer(Reply.error(ErrorCode.messageTooLarge)),
  forgetChunk: { _tag: "ForgetChunk" },
  loseMessage: { _tag: "LoseMessage" },
  loseReply: { _tag: "LoseReply", when: () => true, forgetChunk: false },
}
