import { isBlockError } from '@blockloom/block-driver'
import { INT_MAX, countArgument, plainNumber } from '../args/count.ts'
import { cacheMode } from '../args/cache-mode.ts'
import { Getopt } from '../args/getopt.ts'
import { runBench } from '../bench/run-bench.ts'
import type { Command } from '../command.ts'
import { Failure, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { warn } from '../host.ts'
import { openNamed } from '../images/open.ts'
import { strerror } from '../output/strerror.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'count', short: 'c', argument: true },
  { name: 'depth', short: 'd', argument: true },
  { name: 'format', short: 'f', argument: true },
  { name: 'flush-interval', long: 'flush-interval', argument: true },
  { name: 'aio', short: 'i', argument: true },
  { name: 'native', short: 'n' },
  { name: 'no-drain', long: 'no-drain' },
  { name: 'offset', short: 'o', argument: true },
  { name: 'pattern', long: 'pattern', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'buffer', short: 's', argument: true },
  { name: 'step', short: 'S', argument: true },
  { name: 'cache', short: 't', argument: true },
  { name: 'write', short: 'w' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
] as const

/** `bench`: how long a number of requests takes. @internal */
export const bench: Command = {
  async run(host, args) {
    const getopt = new Getopt('bench', args, SYNTAX)
    const say = (message: string): void => warn(host, message)
    let count = 75000
    let depth = 64
    let format: string | undefined
    let flushInterval = 0
    let drain = true
    let offset = 0
    let pattern = 0
    let bufferSize = 4096
    let step = 0
    let cacheText = 'writeback'
    let write = false
    let imageOpts = false
    let forceShare = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'count') count = plainNumber(value, 'Invalid request count specified')
      if (name === 'depth') {
        depth = plainNumber(value, 'Invalid queue depth specified')
        if (depth === 0) throw new Failure('Invalid queue depth specified')
      }
      if (name === 'format') format = value
      if (name === 'flush-interval') flushInterval = plainNumber(value, 'Invalid flush interval specified')
      if (name === 'aio' && value !== 'threads') throw new Failure(`Invalid aio option: ${value}`)
      if (name === 'native') throw new Failure('Invalid aio option: native')
      if (name === 'no-drain') drain = false
      if (name === 'offset') offset = countArgument(value, { what: 'offset', warn: say })
      if (name === 'pattern') pattern = plainNumber(value, 'Invalid pattern byte specified', 255)
      if (name === 'buffer') bufferSize = countArgument(value, { what: 'buffer size', max: INT_MAX, warn: say })
      if (name === 'step') step = countArgument(value, { what: 'step_size', max: INT_MAX, warn: say })
      if (name === 'cache') cacheText = value
      if (name === 'write') write = true
      if (name === 'image-opts') imageOpts = true
      if (name === 'force-share') forceShare = true
    }
    const cache = cacheMode(cacheText)
    if (cache === undefined) throw new Failure('Invalid cache mode')
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    if (!write && flushInterval > 0) throw new Failure('--flush-interval is only available in write tests')
    if (flushInterval > 0 && flushInterval < depth) throw new Failure("Flush interval can't be smaller than depth")
    await using disk = await openNamed(host, { text: getopt.operands[0]!, imageOpts, format }, { write, forceShare, cache })
    if (disk.size === 0) throw new Failure('The image is empty')
    const stepSize = step === 0 ? bufferSize : step
    host.out(`Sending ${count} ${write ? 'write' : 'read'} requests, ${bufferSize} bytes each, ${depth} in parallel (starting at offset ${offset}, step size ${stepSize})\n`)
    if (flushInterval > 0) host.out(`Sending flush every ${flushInterval} requests\n`)
    const started = host.now()
    try {
      await runBench(disk.node, { count, depth, offset, step: stepSize, bufferSize, write, pattern, flushInterval, drain, writethrough: cache.writethrough })
    } catch (error) {
      throw isBlockError(error) ? new Failure(`Failed request: ${strerror(error.errno)}`, { cause: error }) : error
    }
    host.out(`Run completed in ${((host.now() - started) / 1000).toFixed(3)} seconds.\n`)
    return 0
  },
}
