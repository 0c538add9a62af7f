import { describe, expect, it } from 'vitest'
import { SparseBytes } from '../src/child/sparse-bytes.ts'
import { ByteModel } from '../src/model/byte-model.ts'
import { firstDifference } from '../src/model/difference.ts'
import { Random } from '../src/model/random.ts'

const SEED = 20
const SIZE = 96

describe('firstDifference', () => {
  it('finds the first byte that differs, whatever the alignment', () => {
    const random = new Random(SEED)
    for (let round = 0; round < 2000; round++) {
      const bytes = random.int(40)
      const a = random.bytes(48).subarray(random.int(8)).subarray(0, bytes)
      const b = new Uint8Array(48).subarray(random.int(8)).subarray(0, bytes)
      b.set(a)
      const at = bytes > 0 && random.oneIn(2) ? random.int(bytes) : -1
      if (at >= 0) b.fill(0, at)
      expect(firstDifference(a, b), `round ${round} of seed ${SEED}`).toBe(at)
    }
  })
})

describe('ByteModel', () => {
  it('accepts in each byte what it is or may be, and nothing else', () => {
    const random = new Random(SEED)
    // Few values, so that the choices often agree.
    const some = (bytes: number) => Uint8Array.from({ length: bytes }, () => 1 + random.int(3))
    for (let round = 0; round < 2000; round++) {
      const content = some(SIZE)
      const stored = new SparseBytes()
      stored.write(0, content)
      const model = new ByteModel(stored)
      const allowed = [...content].map((byte) => new Set([byte]))
      for (let i = random.int(4); i > 0; i--) {
        const offset = random.int(SIZE)
        const data = some(random.int(SIZE - offset) + 1)
        model.maybe(offset, data)
        data.forEach((byte, at) => allowed[offset + at]!.add(byte))
      }
      const start = random.int(SIZE)
      const actual = Uint8Array.from({ length: SIZE - start }, (_, at) => random.pick([...allowed[start + at]!]))
      const wrong = random.oneIn(2) ? random.int(actual.length) : -1
      if (wrong >= 0) actual[wrong] = random.int(5)
      const check = () => model.check(start, actual, 'a read')
      const hint = `round ${round} of seed ${SEED}`
      if (wrong < 0 || allowed[start + wrong]!.has(actual[wrong]!)) expect(check, hint).not.toThrow()
      else expect(check, hint).toThrow(`a read: byte ${start + wrong} is `)
    }
  })
})
