import { isBlockError } from '@blockloom/block-driver'
import type { DiskImage } from 'blockloom'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import type { Command } from '../command.ts'
import { Failure, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import type { Host } from '../host.ts'
import { openNamed } from '../images/open.ts'
import { snapshotTable } from '../output/snapshot-table.ts'
import { errnoNumber, strerror } from '../output/strerror.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'list', short: 'l' },
  { name: 'apply', short: 'a', argument: true },
  { name: 'create', short: 'c', argument: true },
  { name: 'delete', short: 'd', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'object', long: 'object', argument: true },
] as const

/** Names are cut to this many bytes, as the reference does. */
const MOST_NAME_BYTES = 255

/** `snapshot`: lists, takes, applies and deletes internal snapshots. @internal */
export const snapshot: Command = {
  async run(host, args) {
    const getopt = new Getopt('snapshot', args, SYNTAX)
    const objects = new SecretObjects()
    let action: { readonly name: string; readonly value: string } | undefined
    let imageOpts = false
    let forceShare = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      else if (name === 'image-opts') imageOpts = true
      else if (name === 'force-share') forceShare = true
      else if (name !== 'quiet') {
        if (action !== undefined) throw new UsageError("Cannot mix '-l', '-a', '-c', '-d'")
        action = { name, value }
      }
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    const write = action?.name !== 'list'
    await using disk = await openNamed(host, { text: getopt.operands[0]!, imageOpts }, { write, forceShare, secrets: objects.secrets(), ...(write ? { unmap: true } : {}) })
    if (action !== undefined) await ACTIONS[action.name]!(disk, action.value, host)
    return 0
  },
}

const ACTIONS: Readonly<Record<string, (disk: DiskImage, name: string, host: Host) => Promise<void>>> = {
  async list(disk, _name, host) {
    if (disk.snapshots.length > 0) host.out(`Snapshot list:\n${snapshotTable(disk.snapshots)}`)
  },

  async create(disk, name) {
    const now = Date.now()
    const create = disk.node.snapshots?.create
    const cannot = (errno: string, cause?: unknown): Failure =>
      new Failure(`Could not create snapshot '${name}': -${errnoNumber(errno)} (${strerror(errno)})`, { cause })
    if (create === undefined) throw cannot('ENOTSUP')
    try {
      await create({ name: cut(name), dateSec: Math.floor(now / 1000), dateNsec: (now % 1000) * 1_000_000, icount: 0 })
    } catch (error) {
      throw isBlockError(error) ? cannot(error.errno, error) : error
    }
  },

  async apply(disk, name) {
    const facet = disk.node.snapshots
    const cannot = (why: string, cause?: unknown): Failure => new Failure(`Could not apply snapshot '${name}': ${why}`, { cause })
    if (facet === undefined) throw cannot('Block driver does not support snapshots')
    if (facet.revert === undefined) throw cannot(`Failed to load snapshot: ${strerror('ENOTSUP')}`)
    try {
      await facet.revert(name)
    } catch (error) {
      if (!isBlockError(error)) throw error
      throw cannot(error.code === 'not-found' ? `Failed to load snapshot: ${strerror('ENOENT')}` : error.message, error)
    }
  },

  async delete(disk, name) {
    const cannot = (why: string, cause?: unknown): Failure => new Failure(`Could not delete snapshot '${name}': ${why}`, { cause })
    // By name only: an ID would delete the wrong one when another snapshot has it for a name.
    const found = disk.snapshots.find((each) => each.name === name)
    if (found === undefined) throw cannot('snapshot not found')
    const remove = disk.node.snapshots?.remove
    if (remove === undefined) throw cannot(strerror('ENOTSUP'))
    try {
      await remove(found.id)
    } catch (error) {
      throw isBlockError(error) ? cannot(error.message, error) : error
    }
  },
}

function cut(name: string): string {
  const bytes = new Uint8Array(MOST_NAME_BYTES)
  const { read } = new TextEncoder().encodeInto(name, bytes)
  return name.slice(0, read)
}
