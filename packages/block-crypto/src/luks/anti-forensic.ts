import { digest } from '@blockloom/block-crypto/ciphers'
import { type HashName, digestBytes } from '../ciphers/hash-name.ts'
import { STRIPES } from './layout.ts'
import { fillRandom } from './random-bytes.ts'

/**
 * Blows a key up to 4000 times its length, so that losing any part loses all of it (specification 1.2.3, section 2.4,
 * AFsplit): all stripes are random but the last, which makes the whole come out.
 *
 * @returns `key.length * 4000` bytes
 * @internal
 */
export async function afSplit(key: Uint8Array, hash: HashName): Promise<Uint8Array> {
  const material = new Uint8Array(key.length * STRIPES)
  const last = material.length - key.length
  fillRandom(material.subarray(0, last))
  const state = await diffuseAll(material, key.length, hash)
  for (let i = 0; i < key.length; i++) material[last + i] = state[i]! ^ key[i]!
  return material
}

/** The opposite (AFmerge): gives a key of `keyBytes` bytes from at least that many stripes. @internal */
export async function afMerge(material: Uint8Array, keyBytes: number, hash: HashName): Promise<Uint8Array> {
  const last = keyBytes * (STRIPES - 1)
  const key = await diffuseAll(material, keyBytes, hash)
  for (let i = 0; i < keyBytes; i++) key[i] = key[i]! ^ material[last + i]!
  return key
}

/** Folds all stripes but the last into one. */
async function diffuseAll(material: Uint8Array, keyBytes: number, hash: HashName): Promise<Uint8Array> {
  const state = new Uint8Array(keyBytes)
  for (let stripe = 0; stripe < STRIPES - 1; stripe++) {
    const at = stripe * keyBytes
    for (let i = 0; i < keyBytes; i++) state[i] = state[i]! ^ material[at + i]!
    await diffuse(state, hash)
  }
  return state
}

/** H1 of the specification: each part of a digest's length becomes the digest of its number and itself; the last is cut. */
async function diffuse(state: Uint8Array, hash: HashName): Promise<void> {
  const step = digestBytes(hash)
  for (let at = 0, number = 0; at < state.length; at += step, number++) {
    const part = state.subarray(at, at + step)
    const input = new Uint8Array(4 + part.length)
    new DataView(input.buffer).setUint32(0, number)
    input.set(part, 4)
    const digested = digest(hash, input)
    const bytes = digested instanceof Promise ? await digested : digested
    part.set(bytes.subarray(0, part.length))
  }
}
