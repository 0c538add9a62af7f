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
    'Of more runs than that, those of each side count during which the host took the least processor time away from this machine (steal).',
    '',
    `Machine: ${machine()}. Node ${process.versions.node}. Reference: ${versions.reference}.`,
    '',
    '| work | ours | reference | ratio | wanted | | our peak memory | steal, ours and reference |',
    '|---|---:|---:|---:|---:|---|---:|---:|',
    ...results.map(row),
  ]
  return `${lines.join('\n')}\n`
}

function row({ name, kind, ours, theirs, ratio, limit, ok, memory, memoryLimit, stolen }: Measured): string {
  const show = (value: number): string => (kind === 'time' ? `${value.toFixed(3)} s` : `${Math.round(value).toLocaleString('en')}/s`)
  const wanted = kind === 'time' ? `≤ ${limit}` : `≥ ${limit}`
  return `| ${name} | ${show(ours)} | ${show(theirs)} | ${ratio.toFixed(2)} | ${wanted} | ${ok ? 'yes' : '**no**'} | ${mib(memory)}${memoryLimit === undefined ? '' : ` (≤ ${mib(memoryLimit)})`} | ${percent(stolen.ours)}, ${percent(stolen.theirs)} |`
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}

function machine(): string {
  const cpus = os.cpus()
  const memory = Math.round(os.totalmem() / 2 ** 30)
  return `${cpus.length} × ${cpuModel(cpus)}, ${memory} GiB, ${os.type()} ${os.release().split('-')[0]}${keepsFreeMemory() ? ', free page reporting off' : ''}`
}

/** The largest order of pages that Linux has on this machine; a higher one is never reported. */
const LARGEST_ORDER = 10

/** A virtual machine that does not give free memory back to its host, which could be slow to return it. */
function keepsFreeMemory(): boolean {
  try {
    return Number(readFileSync('/sys/module/page_reporting/parameters/page_reporting_order', 'utf8')) > LARGEST_ORDER
  } catch {
    return false
  }
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
