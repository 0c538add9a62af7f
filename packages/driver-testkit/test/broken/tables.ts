import { option } from '@blockloom/block-driver'
import type { Broken } from './broken.ts'

const WELL_FORMED = 'table: frozen, of contract 1, with a name, a kind and a summary'
const SCHEMA = 'table: every option and child has documentation, every default is valid'
const PROBE = 'probe: pure, from 0 to 100, and knows its own images'

export const brokenTables: readonly Broken[] = [
  { fault: 'the table can be changed', caughtBy: [WELL_FORMED], changes: { table: (right) => ({ ...right }) } },
  { fault: 'the table is of another contract', caughtBy: [WELL_FORMED], changes: { table: (right) => Object.freeze({ ...right, contract: 2 }) } },
  { fault: 'the name is no name', caughtBy: [WELL_FORMED], changes: { table: (right) => Object.freeze({ ...right, name: 'Toy Format' }) } },
  { fault: 'an option without documentation', caughtBy: [SCHEMA], changes: { table: (right) => Object.freeze({ ...right, options: { ...right.options, extra: option.string('') } }) } },
  {
    fault: 'a default outside its own range',
    caughtBy: [SCHEMA],
    changes: { table: (right) => Object.freeze({ ...right, options: { ...right.options, extra: option.size('Size of the extra', { default: 100, max: 50 }) } }) },
  },
  {
    fault: 'probe changes the bytes it looks at',
    caughtBy: [PROBE],
    changes: {
      table: (right) => Object.freeze({
        ...right,
        probe: (head: Uint8Array, name: string) => {
          const score = right.probe!(head, name)
          head.fill(0)
          return score
        },
      }),
    },
  },
  {
    fault: 'probe answers by turns',
    caughtBy: [PROBE],
    changes: {
      table: (right) => {
        let calls = 0
        return Object.freeze({ ...right, probe: () => calls++ % 2 })
      },
    },
  },
  { fault: 'probe scores above 100', caughtBy: [PROBE], changes: { table: (right) => Object.freeze({ ...right, probe: () => 1000 }) } },
  {
    fault: 'measure forgets the metadata',
    caughtBy: ['measure: enough for the empty image, and for the full one'],
    changes: {
      table: (right) => Object.freeze({ ...right, creation: { ...right.creation!, measure: async ({ size }: { size: number }) => ({ required: 0, fullyAllocated: size }) } }),
    },
  },
  {
    fault: 'create does not notice that it failed',
    caughtBy: ['create: any change of the file may fail; then create fails and leaves nothing behind'],
    changes: {
      table: (right) => Object.freeze({
        ...right,
        creation: { ...right.creation!, create: async (context: never) => right.creation!.create(context).catch(() => {}) },
      }),
    },
  },
]
