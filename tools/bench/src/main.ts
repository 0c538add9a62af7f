import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measurePair, type Measured } from './measure.ts'
import { report } from './report.ts'
import { worksIn } from './works.ts'

const root = path.resolve(fileURLToPath(import.meta.url), '../../../..')

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    /** Seconds for each work to wait for as many runs during which the host takes no processor away. */
    patience: { type: 'string', default: '60' },
    /** Only works whose name contains this. */
    only: { type: 'string', default: '' },
    /** Writes docs/benchmarks.md. */
    save: { type: 'boolean', default: false },
    /** Where the images are made; removed afterwards. */
    folder: { type: 'string', default: path.join(root, '.bench') },
  },
})

const ours = [process.execPath, path.join(root, 'tools/img/dist/bin/blockloom-img.mjs')]
if (!existsSync(ours[1]!)) throw new Error('build first: npm run build')
const reference = execFileSync('qemu-img', ['--version'], { encoding: 'utf8' }).split('\n')[0]!.replace('qemu-img version ', 'qemu-img ')

mkdirSync(values.folder, { recursive: true })
try {
  const results: Measured[] = []
  for (const work of worksIn(values.folder)) {
    if (!work.name.includes(values.only)) continue
    const measured = await measurePair(work, ours, ['qemu-img'], { rounds: Number(values.rounds), patience: Number(values.patience) })
    results.push(measured)
    const { ours: a, theirs: b } = measured.runs
    const range = (of: readonly number[]): string => [of[0]!, of.at(-1)!].map((value) => value.toPrecision(3)).join(' to ')
    console.log(`${measured.ok ? 'ok ' : 'NO '} ${measured.ratio.toFixed(2)} (wanted ${work.kind === 'time' ? '<=' : '>='} ${work.limit})  ${work.name}: ${range(a)}, reference ${range(b)}; stolen ${[measured.stolen.ours, measured.stolen.theirs].map((part) => part.toFixed(2)).join(' and ')}`)
  }
  const table = report(results, { reference, rounds: Number(values.rounds) })
  console.log(`\n${table}`)
  if (values.save) writeFileSync(path.join(root, 'docs/benchmarks.md'), table)
} finally {
  rmSync(values.folder, { recursive: true, force: true })
}
