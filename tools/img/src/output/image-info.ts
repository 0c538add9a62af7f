import type { ImageInfo } from 'blockloom'
import { humanSize } from './human-size.ts'
import type { Json } from './json.ts'
import { shownName } from './shown-name.ts'
import { snapshotTable } from './snapshot-table.ts'
import { specificInfo } from './specific-info.ts'

/** Members of driver-specific facts in the order that the reference prints them; others follow. */
const ORDER = [
  'compat', 'compression-type', 'lazy-refcounts', 'bitmaps', 'flags', 'name', 'granularity', 'refcount-bits', 'encrypt',
  'ivgen-alg', 'hash-alg', 'cipher-alg', 'uuid', 'ivgen-hash-alg', 'format', 'cipher-mode', 'slots', 'active', 'iters', 'key-offset', 'stripes', 'payload-offset', 'master-key-iters',
  'data-file', 'data-file-raw', 'corrupt', 'extended-l2',
]

function ordered(value: unknown): Json {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value as Json
  const rank = (name: string): number => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1)
  const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b))
  return Object.fromEntries(entries.map(([name, member]) => [name, ordered(member)]))
}

/** What `info` prints for people. @internal */
export function infoText(info: ImageInfo): string {
  const lines = [
    `image: ${shownName(info.filename)}`,
    `file format: ${info.format}`,
    `virtual size: ${humanSize(info['virtual-size'])} (${info['virtual-size']} bytes)`,
    `disk size: ${info['actual-size'] === undefined ? 'unavailable' : humanSize(info['actual-size'])}`,
  ]
  if (info.encrypted) lines.push('encrypted: yes')
  if (info['cluster-size'] !== undefined) lines.push(`cluster_size: ${info['cluster-size']}`)
  if (info['dirty-flag']) lines.push('cleanly shut down: no')
  if (info['backing-filename'] !== undefined) lines.push(`backing file: ${info['backing-filename']}${actualPath(info)}`)
  if (info['backing-filename-format'] !== undefined) lines.push(`backing file format: ${info['backing-filename-format']}`)
  let text = lines.map((line) => `${line}\n`).join('')
  if (info.snapshots !== undefined) text += `Snapshot list:\n${snapshotTable(info.snapshots)}`
  const specific = info['format-specific']
  if (specific !== undefined) text += `Format specific information:\n${specificInfo(ordered(specific.data), 1)}`
  return text
}

function actualPath(info: ImageInfo): string {
  const full = info['full-backing-filename']
  if (full === undefined) return ' (cannot determine actual path)'
  return full === info['backing-filename'] ? '' : ` (actual path: ${full})`
}

/** The same for programs, members in the order of the reference. @internal */
export function infoJson(info: ImageInfo): Json {
  const specific = info['format-specific']
  return {
    snapshots: info.snapshots?.map((s) => ({
      icount: s.icount,
      'vm-clock-nsec': s.vmClockNsec % 1e9,
      name: s.name,
      'date-sec': s.dateSec,
      'date-nsec': s.dateNsec,
      'vm-clock-sec': Math.floor(s.vmClockNsec / 1e9),
      id: s.id,
      'vm-state-size': s.vmStateSize,
    })),
    'backing-filename-format': info['backing-filename-format'],
    'virtual-size': info['virtual-size'],
    filename: shownName(info.filename),
    'cluster-size': info['cluster-size'],
    format: info.format,
    'actual-size': info['actual-size'],
    'format-specific': specific === undefined ? undefined : { type: specific.type, data: ordered(specific.data) },
    'full-backing-filename': info['full-backing-filename'],
    'backing-filename': info['backing-filename'],
    encrypted: info.encrypted,
    'dirty-flag': info['dirty-flag'],
  }
}
