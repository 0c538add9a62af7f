import { countArgument } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import { outputFormat } from '../args/output-format.ts'
import type { Command } from '../command.ts'
import { Failure, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { warn, type Host } from '../host.ts'
import { layerMap, type LayerRun } from '../images/layer-map.ts'
import { openNamed } from '../images/open.ts'
import { shownName } from '../output/shown-name.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', long: 'format', argument: true },
  { name: 'output', long: 'output', argument: true },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'start', short: 's', long: 'start-offset', argument: true },
  { name: 'length', short: 'l', long: 'max-length', argument: true },
  { name: 'object', long: 'object', argument: true },
] as const

const SECTOR = 512

/** `map`: where the bytes of the disk come from. @internal */
export const map: Command = {
  async run(host, args) {
    const getopt = new Getopt('map', args, SYNTAX)
    const objects = new SecretObjects()
    let format: string | undefined
    let outputText = 'human'
    let imageOpts = false
    let forceShare = false
    let start = 0
    let length = Infinity
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'output') outputText = value
      if (name === 'image-opts') imageOpts = true
      if (name === 'force-share') forceShare = true
      if (name === 'start') start = countArgument(value, { what: 'start offset', warn: (message) => warn(host, message) })
      if (name === 'length') length = countArgument(value, { what: 'max length', warn: (message) => warn(host, message) })
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    const output = outputFormat(outputText)
    await using disk = await openNamed(host, { text: getopt.operands[0]!, imageOpts, format }, { forceShare, secrets: objects.secrets() })
    const end = Math.min(start + length, Math.ceil(disk.size / SECTOR) * SECTOR)
    if (output === 'human') await printTable(host, layerMap(disk.node, start, end))
    else await printJson(host, layerMap(disk.node, start, end), start)
    return 0
  },
}

async function printTable(host: Host, runs: AsyncIterable<LayerRun>): Promise<void> {
  host.out(tableRow('Offset', 'Length', 'Mapped to', 'File'))
  for await (const { start, length, data, zero, offset, file } of runs) {
    if (!data || zero) continue
    if (offset === undefined || file === undefined) throw new Failure('File contains external, encrypted or compressed clusters.')
    host.out(tableRow(hex(start), hex(length), hex(offset), shownName(file)))
    await host.drained()
  }
}

/** printf's `%#x`. */
const hex = (n: number): string => (n === 0 ? '0' : `0x${n.toString(16)}`)

function tableRow(offset: string, length: string, mapped: string, file: string): string {
  return `${offset.padEnd(16)}${length.padEnd(16)}${mapped.padEnd(16)}${file}\n`
}

async function printJson(host: Host, runs: AsyncIterable<LayerRun>, start: number): Promise<void> {
  let before = '['
  for await (const run of runs) {
    host.out(before + jsonRow(run))
    before = ',\n'
    await host.drained()
  }
  // Of nothing there is one empty run.
  if (before === '[') host.out(before + jsonRow({ start, length: 0, depth: 0, present: false, zero: false, data: false }))
  host.out(']\n')
}

function jsonRow({ start, length, depth, present, zero, data, offset }: LayerRun): string {
  const where = offset === undefined ? '' : `, "offset": ${offset}`
  return `{ "start": ${start}, "length": ${length}, "depth": ${depth}, "present": ${present}, "zero": ${zero}, "data": ${data}${where}}`
}
