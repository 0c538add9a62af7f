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
    expect(seen(layers.map((layer) => layer.encryption))).toEqual(['aes', 'luks', 'none'])
    expect(seen(sequences.map((sequence) => sequence.layers.length))).toEqual([1, 2, 3])
    // Extended L2 in every cluster size that allows it.
    expect(seen(layers.filter((layer) => layer.extendedL2).map((layer) => layer.clusterSize))).toHaveLength(8)
  })

  test('do everything, inside the image, and always the same for a seed', () => {
    const kinds = new Set<string>()
    const acts = new Set<string>()
    const finales = new Set<string>()
    for (const sequence of sequences) {
      const model = new GuestModel()
      const sizes = new Map<string, number>()
      finales.add(sequence.finale === null ? 'none' : sequence.finale.kind)
      for (const { layer, operations, acts: before } of sequence.sessions) {
        model.open(sequence.layers[layer]!)
        for (const act of before) {
          acts.add(act.kind === 'bitmap' ? `bitmap ${act.action}` : act.kind === 'amend' ? `amend ${Object.keys(act.options)[0]}` : act.kind)
          if (act.kind === 'take') sizes.set(act.name, model.bytes.length)
          if (act.kind === 'revert') model.apply({ kind: 'resize', size: sizes.get(act.name)! })
        }
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
    expect(seen([...acts])).toEqual([
      'amend compat', 'amend lazy_refcounts', 'amend refcount_bits', 'bitmap add', 'bitmap clear', 'bitmap disable', 'bitmap enable', 'bitmap remove',
      'leak', 'remove', 'revert', 'take',
    ])
    expect(sequences.filter(({ sessions }) => sessions.some(({ killed }) => killed)).length).toBeGreaterThan(10)
    expect(seen([...finales])).toEqual(['commit', 'none', 'rebase'])
    expect(randomSequence(BASE_SEED, false)).toEqual(sequences[0])
  })
})
