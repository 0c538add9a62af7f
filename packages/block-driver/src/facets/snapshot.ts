import type { Instance } from '../instance.ts'

/** One internal snapshot. @public */
export interface SnapshotInfo {
  readonly id: string
  readonly name: string
  /** Bytes of saved VM state. */
  readonly vmStateSize: number
  /** Seconds since 1970. */
  readonly dateSec: number
  readonly dateNsec: number
  /** Guest run time in nanoseconds, from two 32-bit halves: exact below 2^53. */
  readonly vmClockNsec: number
  /** Virtual disk size when it was taken, if the image says so. */
  readonly diskSize?: number
  /** Instruction count of record/replay, if saved. */
  readonly icount?: number
}

/** A snapshot to be taken of the disk as it is. Times that are left out are 0. @public */
export interface NewSnapshot {
  /** Shown to users; need not be unique. The format gives it a unique id. */
  readonly name: string
  /** State of the machine, saved along with the disk. */
  readonly vmState?: Uint8Array
  /** Seconds since 1970: drivers have no calendar. */
  readonly dateSec?: number
  readonly dateNsec?: number
  /** Guest run time in nanoseconds. */
  readonly vmClockNsec?: number
  /** Instruction count of record/replay. */
  readonly icount?: number
}

/** Internal snapshots. Members that change are absent on a read-only instance. @public */
export interface SnapshotFacet {
  list(): readonly SnapshotInfo[]
  /** The disk as it was, read-only. `select` is an id, else a name; `not-found` if there is none. */
  openReadOnly(select: string): Promise<Instance>
  /**
   * Fills `into` with saved VM state from byte `offset` on. `invalid` beyond the snapshot's `vmStateSize`. Absent: the
   * format saves none.
   */
  readonly readVmState?: (select: string, offset: number, into: Uint8Array) => Promise<void>
  readonly create?: (snapshot: NewSnapshot) => Promise<SnapshotInfo>
  readonly revert?: (select: string) => Promise<void>
  readonly remove?: (select: string) => Promise<void>
}
