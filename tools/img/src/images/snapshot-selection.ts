import type { DiskImage } from 'blockloom'
import { parseKeyValues } from '../args/keyval.ts'
import { Failure } from '../failure.ts'

/** Which internal snapshot a command line means. @internal */
export type SnapshotSelection = { readonly idOrName: string } | { readonly id: string | undefined; readonly name: string | undefined }

/** Reads `-l`: `snapshot.id=1,snapshot.name=x`, or an id or name. @internal */
export function snapshotSelection(text: string): SnapshotSelection {
  if (!text.startsWith('snapshot.')) return { idOrName: text }
  const values = new Map(parseKeyValues(text).map(({ name, value }) => [name, value]))
  for (const name of values.keys()) {
    if (name === 'snapshot.id' || name === 'snapshot.name') continue
    throw new Failure(`Invalid parameter '${name}'`, { hint: { line: `Failed in parsing snapshot param '${text}'` } })
  }
  return { id: values.get('snapshot.id'), name: values.get('snapshot.name') }
}

/** The id of the selected snapshot; a format without snapshots says so when it is opened. @internal */
export function selectSnapshot(disk: DiskImage, selection: SnapshotSelection): string {
  if (disk.node.snapshots === undefined) return ''
  const found = disk.snapshots.find((snapshot) =>
    'idOrName' in selection
      ? snapshot.id === selection.idOrName
      : (selection.id ?? snapshot.id) === snapshot.id && (selection.name ?? snapshot.name) === snapshot.name && (selection.id ?? selection.name) !== undefined,
  ) ?? ('idOrName' in selection ? disk.snapshots.find(({ name }) => name === selection.idOrName) : undefined)
  if (found === undefined) throw new Failure("Failed to load snapshot: Can't find snapshot")
  return found.id
}
