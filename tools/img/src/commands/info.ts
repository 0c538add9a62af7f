import { imageInfo, type ImageInfo } from 'blockloom'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import { outputFormat, type OutputFormat } from '../args/output-format.ts'
import type { Command } from '../command.ts'
import { Failure, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import type { Host } from '../host.ts'
import { openNamed, type ImageName, type OpenHow } from '../images/open.ts'
import { infoJson, infoText } from '../output/image-info.ts'
import { prettyJson } from '../output/json.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', long: 'format', argument: true },
  { name: 'output', long: 'output', argument: true },
  { name: 'backing-chain', long: 'backing-chain' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'object', long: 'object', argument: true },
] as const

/** `info`: what an image says about itself. Opens no data file and reads no guest data. @internal */
export const info: Command = {
  async run(host, args) {
    const getopt = new Getopt('info', args, SYNTAX)
    const objects = new SecretObjects()
    let format: string | undefined
    let output: OutputFormat = 'human'
    let chain = false
    let imageOpts = false
    let forceShare = false
    let outputText: string | undefined
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'output') outputText = value
      if (name === 'backing-chain') chain = true
      if (name === 'image-opts') imageOpts = true
      if (name === 'force-share') forceShare = true
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    if (outputText !== undefined) output = outputFormat(outputText)
    const infos = await collect(host, { text: getopt.operands[0]!, imageOpts, format }, chain, { forceShare, secrets: objects.secrets() })
    if (output === 'human') host.out(infos.map(infoText).join('\n'))
    else host.out(`${prettyJson(chain ? infos.map(infoJson) : infoJson(infos[0]!))}\n`)
    return 0
  },
}

/** The image, and with `chain` everything below it. */
async function collect(host: Host, top: ImageName, chain: boolean, how: OpenHow): Promise<ImageInfo[]> {
  const infos: ImageInfo[] = []
  const seen = new Set<string>()
  let next: ImageName | null = top
  while (next !== null) {
    if (seen.has(next.text)) throw new Failure(`Backing file '${next.text}' creates an infinite loop.`)
    seen.add(next.text)
    await using disk = await openNamed(host, next, { ...how, noIo: true, noBacking: true })
    const found: ImageInfo = await imageInfo(disk.node)
    infos.push(found)
    next = chain ? below(found) : null
  }
  return infos
}

function below(info: ImageInfo): ImageName | null {
  if (info['backing-filename'] === undefined) return null
  const text = info['full-backing-filename']
  if (text === undefined) throw new Failure(`Cannot use relative backing file names for '${info.filename}'`)
  return { text, format: info['backing-filename-format'] }
}
