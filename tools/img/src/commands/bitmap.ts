import { isBlockError } from '@blockloom/block-driver'
import type { DiskImage } from 'blockloom'
import { countArgument } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import type { Command } from '../command.ts'
import { Failure, hintOf } from '../failure.ts'
import { printHelp } from '../help.ts'
import { report, warn } from '../host.ts'
import { openNamed } from '../images/open.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'source', short: 'b', long: 'source-file', argument: true },
  { name: 'source-format', short: 'F', long: 'source-format', argument: true },
  { name: 'format', short: 'f', argument: true },
  { name: 'granularity', short: 'g', long: 'granularity', argument: true },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'object', long: 'object', argument: true },
  { name: 'add', long: 'add' },
  { name: 'remove', long: 'remove' },
  { name: 'clear', long: 'clear' },
  { name: 'enable', long: 'enable' },
  { name: 'disable', long: 'disable' },
  { name: 'merge', long: 'merge', argument: true },
] as const

type ActionName = 'add' | 'remove' | 'clear' | 'enable' | 'disable' | 'merge'

interface Action {
  readonly name: ActionName
  /** For `merge`: the bitmap that is merged. */
  readonly value: string
}

/** `bitmap`: changes a persistent dirty bitmap, one action after the other. @internal */
export const bitmap: Command = {
  async run(host, args) {
    const getopt = new Getopt('bitmap', args, SYNTAX)
    const objects = new SecretObjects()
    const actions: Action[] = []
    let format: string | undefined
    let source: string | undefined
    let sourceFormat: string | undefined
    let granularity = 0
    let imageOpts = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'format') format = value
      else if (name === 'source') source = value
      else if (name === 'source-format') sourceFormat = value
      else if (name === 'granularity') granularity = countArgument(value, { what: 'granularity', warn: (message) => warn(host, message) })
      else if (name === 'image-opts') imageOpts = true
      else if (name === 'object') objects.add(value)
      else actions.push({ name: name as ActionName, value })
    }
    if (actions.length === 0) throw new Failure('Need at least one of --add, --remove, --clear, --enable, --disable, or --merge')
    const isAmong = (wanted: ActionName): boolean => actions.some(({ name }) => name === wanted)
    if (granularity !== 0 && !isAmong('add')) throw new Failure('granularity only supported with --add')
    if (sourceFormat !== undefined && source === undefined) throw new Failure('-F only supported with -b')
    if (source !== undefined && !isAmong('merge')) throw new Failure('Merge bitmap source file only supported with --merge')
    const [filename, name, ...more] = getopt.operands
    if (name === undefined || more.length > 0) throw new Failure('Expecting filename and bitmap name')
    const secrets = objects.secrets()
    const disk = await openNamed(host, { text: filename!, imageOpts, format }, { write: true, secrets })
    try {
      await using from = source === undefined ? null : await openNamed(host, { text: source, format: sourceFormat }, { secrets })
      for (const action of actions) await act(disk, name, action, granularity, from)
    } catch (error) {
      // What was done before is kept.
      await disk.close().catch((lost: unknown) => report(host, lost instanceof Error ? lost.message : String(lost)))
      throw error
    }
    await disk.close()
    return 0
  },
}

async function act(disk: DiskImage, name: string, action: Action, granularity: number, from: DiskImage | null): Promise<void> {
  const { bitmaps } = disk
  const work: Readonly<Record<ActionName, () => void | Promise<void>>> = {
    add: () => void bitmaps.add({ name, persistent: true, ...(granularity === 0 ? {} : { granularity }) }),
    remove: () => bitmaps.remove(name),
    clear: () => bitmaps.get(name).clear(),
    enable: () => bitmaps.get(name).enable(),
    disable: () => bitmaps.get(name).disable(),
    merge: () => {
      const target = bitmaps.get(name)
      return bitmaps.merge(target, [from === null ? action.value : from.bitmaps.get(action.value)])
    },
  }
  try {
    await work[action.name]()
  } catch (error) {
    if (!isBlockError(error)) throw error
    throw new Failure(`Operation ${action.name} on bitmap ${name} failed: ${error.message}`, { cause: error, hint: hintOf(error) })
  }
}
