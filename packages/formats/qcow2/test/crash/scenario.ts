import type { Instance } from '@blockloom/block-driver'
import type { Random } from '../harness/random.ts'
import type { Act, View } from './history.ts'

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
  readonly facts?: (image: Instance) => Promise<Readonly<Record<string, string>>> | Readonly<Record<string, string>>
  /** The image is consistent only after it was opened for writing once. */
  readonly mends?: boolean
  /** The reference cannot open it without more arguments. */
  readonly notForReference?: boolean
}
