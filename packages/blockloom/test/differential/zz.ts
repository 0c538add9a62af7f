import { runSequence } from './sequences.ts'
import { randomSequence } from './operations.ts'
const [writer, from, to] = [process.argv[2] as any, Number(process.argv[3]), Number(process.argv[4])]
const slow: [number, number][] = []
let failed = 0
for (let seed = from; seed <= to; seed++) {
  const t = performance.now()
  try { await runSequence(randomSequence(seed, writer !== 'us'), writer) } catch (e) { failed++; console.log(String(e).split('\n').slice(0, process.argv[5] ? 80 : 4).join('\n').slice(0, process.argv[5] ? 9999 : 700)); if (process.argv[5]) console.log(e) }
  slow.push([performance.now() - t, seed])
}
console.log('failed', failed, slow.sort((a, b) => b[0] - a[0]).slice(0, 5).map(([t, s]) => `${s}:${Math.round(t)}`).join(' '), 'avg', slow.reduce((a, [t]) => a + t, 0) / slow.length)
process.exit(0)
