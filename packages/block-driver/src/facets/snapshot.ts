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

/** Internal snapshots. Members that change are absent on a read-only instance. @public */
export interface SnapshotFacet {
  list(): readonly SnapshotInfo[]
  /** The disk as it was, read-only. `select` is an id, else a name; `not-found` if there is none. */
  openReadOnly(select: string): Promise<Instance>
  readonly create?: (snapshot: { readonly name: string; readonly vmState?: Uint8Array }) => Promise<SnapshotInfo>
  readonly revert?: (select: string) => Promise<void>
  readonly remove?: (select: string) => Promise<void>
}
