import type { Instance } from '@blockloom/block-driver'
import type { Random } from '../harness/random.ts'
import { fill } from '../harness/workload.ts'
import type { Act, Facts, View } from './history.ts'

/** Another name under which the backing file is there. */
export const OTHER_BASE = 'another-name-of-the-backing-file.raw'

/** An image, what a guest and its administrator do to it, and so what may be found when the power goes. */
export interface Scenario {
  readonly title: string
  /** As in `qemu-img create -o`. */
  readonly options: string
  /** Virtual size in bytes. */
  readonly size: number
  /** Options of opening it. */
  readonly image?: Readonly<Record<string, unknown>>
  readonly secrets?: Readonly<Record<string, string>>
  readonly backing?: boolean
  readonly dataFile?: boolean
  /** Free clusters of the file hold old bytes, as on a disk partition. */
  readonly garbage?: boolean
  /** Nothing is compressed. */
  readonly plain?: boolean
  /** The image before anything is recorded; it is open for writing, and holds what a round of the guest put there. */
  readonly before?: (image: Instance) => Promise<unknown>
  /** How many times the guest does something and then an act follows. Default 14. */
  readonly rounds?: number
  /** The next act, if one is due. */
  readonly next?: (random: Random, view: View, round: number) => Act<Instance> | null
  /** What else must be as it was, or as an act made it. */
  readonly facts?: (image: Instance) => Promise<Facts> | Facts
  /** Changes the file before anything is recorded. */
  readonly damage?: (file: Uint8Array) => void
  /** The image is consistent only after it was opened for writing once. */
  readonly mends?: boolean
  /** How often the power goes; default: as the suite says. */
  readonly points?: number
  /** The reference cannot open it without more arguments. */
  readonly notForReference?: boolean
}

/** The backing file of a disk: shorter than it, and not a multiple of the cluster size. */
export function baseBytes(size: number): Uint8Array {
  return fill(new Uint8Array(Math.floor(size * 0.9) - 700), 0, 3)
}
