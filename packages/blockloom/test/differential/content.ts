import { SeededRandom } from '@blockloom/oracle'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a write stores: one byte over and over, or the beginning of one of two fixed texts, repeated. */
export type Content = number | 'noise' | 'text'

const random = new SeededRandom(0x5eed)

const SOURCES = {
  /** Does not compress. */
  noise: random.bytes(61_441),
  /** Compresses to about half: compressed clusters share host clusters and lie across their borders. */
  text: random.bytes(40_961).map((byte) => byte % 16),
} as const

/** The bytes of a write; the same that `qemu-io write -P` or `write -s` stores. */
export function contentBytes(content: Content, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes)
  if (typeof content === 'number') return out.fill(content)
  const source = SOURCES[content]
  for (let at = 0; at < bytes; at += source.length) out.set(source.subarray(0, Math.min(source.length, bytes - at)), at)
  return out
}

/** Puts the texts into a folder, for `qemu-io write -s`. */
export function writeSources(folder: string): void {
  for (const [name, bytes] of Object.entries(SOURCES)) writeFileSync(join(folder, name), bytes)
}

/** The option of `qemu-io write` for it. */
export function contentOption(content: Content, folder: string): string {
  return typeof content === 'number' ? `-P ${content}` : `-s ${join(folder, content)}`
}
