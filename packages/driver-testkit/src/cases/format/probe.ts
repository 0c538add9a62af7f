import type { FormatBench } from '../../bench/format-bench.ts'
import type { Draft } from '../../draft.ts'
import { check } from '../../failure.ts'

/** Bytes that a graph reads to probe. */
const HEAD = 2048

/** @internal */
export const probeCases: readonly Draft<FormatBench>[] = [
  {
    name: 'probe: pure, from 0 to 100, and knows its own images',
    needs: ['probe'],
    run: async (bench) => {
      const { image } = await bench.filled()
      const own = image.files.get('file')!.visible.slice(0, HEAD)
      const garbage = bench.random.bytes(HEAD)
      const heads = [own, garbage, new Uint8Array(HEAD), new Uint8Array(0), new Uint8Array([0x51]), own.slice(0, 4), own.slice(0, 11), own.slice(0, 511)]
      for (const head of heads) {
        const score = probe(bench, head)
        check(probe(bench, head) === score, 'probe answers differently when asked again')
      }
      check(probe(bench, own) > 0, 'probe does not know its own image')
      check(probe(bench, own) >= probe(bench, garbage), 'probe likes garbage better than its own image')
    },
  },
]

function probe(bench: FormatBench, head: Uint8Array): number {
  const given = head.slice()
  const score = bench.fixture.driver.probe!(given, 'disk.img') as unknown
  check(given.length === head.length && given.every((byte, i) => byte === head[i]), 'probe changed the bytes that it was given')
  check(typeof score === 'number' && Number.isInteger(score) && score >= 0 && score <= 100, `probe answered ${String(score)}, expected 0 to 100`)
  return score
}
