import { describe, expect, test } from 'vitest'
import { GuestModel } from './model.ts'
import { randomSequence } from './operations.ts'
import { BASE_SEED } from './sequences.ts'

const sequences = Array.from({ length: 400 }, (_, i) => randomSequence(BASE_SEED + i, false))
const layers = sequences.flatMap((sequence) => sequence.layers.filter((layer) => layer.format === 'qcow2'))
const seen = <T>(values: readonly T[]): T[] => [...new Set(values)].sort((a, b) => (a < b ? -1 : 1))

describe('the sequences', () => {
  test('cover every kind of image', () => {
    expect(seen(layers.map((layer) => Math.log2(layer.clusterSize)))).toHaveLength(13)
    expect(seen(layers.map((layer) => layer.version))).toHaveLength(2)
    expect(seen(layers.map((layer) => layer.refcountBits))).toHaveLength(7)
    expect(seen(layers.map((layer) => layer.compression))).toHaveLength(2)
    expect(seen(layers.map((layer) => layer.dataFile))).toHaveLength(3)
    expect(seen(layers.map((layer) => layer.extendedL2))).toHaveLength(2)
    expect(seen(sequences.map((sequence) => sequence.layers.length))).toEqual([1, 2, 3])
    // Extended L2 in every cluster size that allows it.
    expect(seen(layers.filter((layer) => layer.extendedL2).map((layer) => layer.clusterSize))).toHaveLength(8)
  })

  test('do everything, inside the image, and always the same for a seed', () => {
    const kinds = new Set<string>()
    for (const sequence of sequences) {
      const model = new GuestModel()
      for (const { layer, operations } of sequence.sessions) {
        model.open(sequence.layers[layer]!)
        for (const operation of operations) {
          kinds.add(operation.kind)
          if ('offset' in operation) {
            expect(operation.bytes).toBeGreaterThan(0)
            expect(operation.offset + operation.bytes).toBeLessThanOrEqual(model.bytes.length)
          }
          if (operation.kind === 'resize') model.apply(operation)
        }
      }
    }
    expect(seen([...kinds])).toEqual(['compressed', 'discard', 'flush', 'read', 'resize', 'write', 'zero'])
    expect(randomSequence(BASE_SEED, false)).toEqual(sequences[0])
  })
})
