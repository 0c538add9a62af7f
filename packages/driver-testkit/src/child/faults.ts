import { BlockError, type BlockErrorCode } from '@blockloom/block-driver'

/** What a driver may ask of a child; `open` is asking for the child itself. @internal */
export type RequestKind = 'open' | 'read' | 'write' | 'zero' | 'discard' | 'flush' | 'resize' | 'extents' | 'size'

/** Requests that change or settle a file. @internal */
export const CHANGES: readonly RequestKind[] = ['write', 'zero', 'discard', 'flush', 'resize']

/** One planned failure. @internal */
export interface Fault {
  readonly kinds: readonly RequestKind[]
  /** 1 = the next request of one of these kinds. */
  readonly at: number
  readonly errno: 'EIO' | 'ENOSPC'
  /** Part of a failed write may be on the disk nevertheless. */
  readonly torn?: boolean
  /** All from there on fail, until disarmed. */
  readonly every?: boolean
  /** Runs instead of failing. */
  readonly instead?: () => void
}

/** Decides which request to the children fails. @internal */
export class Faults {
  #fault: Fault | undefined
  #seen = 0
  /** The errors that were thrown since the fault was armed. */
  injected: BlockError[] = []
  struck = false

  get armed(): boolean {
    return this.#fault !== undefined
  }

  arm(fault: Fault): void {
    this.#fault = fault
    this.#seen = 0
    this.injected = []
    this.struck = false
  }

  disarm(): void {
    this.#fault = undefined
  }

  /** Called once per request, in the order of issue. */
  strike(kind: RequestKind, where: string): { error: BlockError; torn: boolean } | undefined {
    const fault = this.#fault
    if (!fault?.kinds.includes(kind) || ++this.#seen < fault.at) return undefined
    if (!fault.every) this.#fault = undefined
    this.struck = true
    if (fault.instead) {
      fault.instead()
      return undefined
    }
    const code: BlockErrorCode = fault.errno === 'ENOSPC' ? 'no-space' : 'io'
    const error = new BlockError(code, `injected ${fault.errno} in ${kind} of ${where}`, { errno: fault.errno })
    this.injected.push(error)
    return { error, torn: fault.torn ?? false }
  }
}

/** True if `error` is `wanted`, or was caused by it. @internal */
export function causedBy(error: unknown, wanted: unknown): boolean {
  let current = error
  for (let depth = 0; depth < 16; depth++) {
    if (current === wanted) return true
    if (current instanceof AggregateError && current.errors.some((inner) => causedBy(inner, wanted))) return true
    if (!(current instanceof Error)) return false
    current = current.cause
  }
  return false
}
