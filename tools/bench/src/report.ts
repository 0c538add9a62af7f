import { readFileSync } from 'node:fs'
import os from 'node:os'
import type { Measured } from './measure.ts'

/** The table, with what it was measured on. */
export function report(results: readonly Measured[], versions: { readonly reference: string; readonly rounds: number }): string {
  const lines = [
    '# Benchmarks',
    '',
    'Made by `npm run bench`: us and the reference tool in turn on the same work, files on disk, everything in the page cache;',
    `medians of ${versions.rounds} runs of the whole command, start-up included. Times: lower is better, the ratio is ours / theirs. Rates: higher is better.`,
    '',
    `Machine: ${machine()}. Node ${process.versions.node}. Reference: ${versions.reference}.`,
    '',
    '| work | ours | reference | ratio | wanted | | our peak memory |',
    '|---|---:|---:|---:|---:|---|---:|',
    ...results.map(row),
  ]
  return `${lines.join('\n')}\n`
}

function row({ name, kind, ours, theirs, ratio, limit, ok, memory, memoryLimit }: Measured): string {
  const show = (value: number): string => (kind === 'time' ? `${value.toFixed(3)} s` : `${Math.round(value).toLocaleString('en')}/s`)
  const wanted = kind === 'time' ? `≤ ${limit}` : `≥ ${limit}`
  return `| ${name} | ${show(ours)} | ${show(theirs)} | ${ratio.toFixed(2)} | ${wanted} | ${ok ? 'yes' : '**no**'} | ${mib(memory)}${memoryLimit === undefined ? '' : ` (≤ ${mib(memoryLimit)})`} |`
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}

function machine(): string {
  const cpus = os.cpus()
  const memory = Math.round(os.totalmem() / 2 ** 30)
  return `${cpus.length} × ${cpuModel(cpus)}, ${memory} GiB, ${os.type()} ${os.release().split('-')[0]}`
}

function cpuModel(cpus: readonly os.CpuInfo[]): string {
  const model = cpus[0]?.model.trim() ?? ''
  if (model !== '' && model !== 'unknown') return model
  try {
    return /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch
  } catch {
    return process.arch
  }
}
