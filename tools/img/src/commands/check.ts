import { isBlockError, type CheckFix, type CheckResult } from '@blockloom/block-driver'
import { cacheMode } from '../args/cache-mode.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import { outputFormat } from '../args/output-format.ts'
import type { Command } from '../command.ts'
import { Failure, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { openNamed } from '../images/open.ts'
import { checkJson, checkText, repairText } from '../output/check-result.ts'
import { prettyJson } from '../output/json.ts'
import { strerror } from '../output/strerror.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', long: 'format', argument: true },
  { name: 'repair', short: 'r', long: 'repair', argument: true },
  { name: 'output', long: 'output', argument: true },
  { name: 'cache', short: 'T', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'object', long: 'object', argument: true },
] as const

const FIXES: Readonly<Record<string, CheckFix>> = { leaks: 'leaks', all: 'errors' }

/** The format has no check. */
const UNSUPPORTED = 63

/** `check`: consistency, and repair. Exit codes: 0 clean, 1 the check failed, 2 corruptions, 3 leaks only, 63 no check for this format. @internal */
export const check: Command = {
  async run(host, args) {
    const getopt = new Getopt('check', args, SYNTAX)
    const objects = new SecretObjects()
    let format: string | undefined
    let fix: CheckFix = 'none'
    let outputText = 'human'
    let cacheText = 'writeback'
    let quiet = false
    let imageOpts = false
    let forceShare = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'repair') {
        if (!Object.hasOwn(FIXES, value)) throw new UsageError(`Unknown option value for -r (expecting 'leaks' or 'all'): ${value}`)
        fix = FIXES[value]!
      }
      if (name === 'output') outputText = value
      if (name === 'cache') cacheText = value
      if (name === 'quiet') quiet = true
      if (name === 'image-opts') imageOpts = true
      if (name === 'force-share') forceShare = true
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    const text = getopt.operands[0]!
    const output = outputFormat(outputText)
    const cache = cacheMode(cacheText)
    if (cache === undefined) throw new Failure(`Invalid source cache option: ${cacheText}`)
    await using disk = await openNamed(host, { text, imageOpts, format }, { write: fix !== 'none', forceShare, forCheck: true, cache, secrets: objects.secrets() })
    const facet = disk.node.check
    if (facet === undefined) throw new Failure('This image format does not support checks', { exitCode: UNSUPPORTED })

    const examine = async (how: CheckFix): Promise<CheckResult> => {
      try {
        return await facet.check({ fix: how, report: (line) => host.err(`${line}\n`) })
      } catch (error) {
        throw isBlockError(error) ? new Failure(`Check failed: ${strerror(error.errno)}`, { cause: error }) : error
      }
    }
    let result = await examine(fix)
    // It could not be examined, or gave up.
    if (result.checkErrors > 0 && result.totalClusters === undefined) throw new Failure(`Check failed: ${strerror('EIO')}`)
    const { leaksFixed, corruptionsFixed } = result
    if (leaksFixed > 0 || corruptionsFixed > 0) {
      if (output === 'human' && !quiet) host.out(repairText(result))
      result = { ...(await examine('none')), leaksFixed, corruptionsFixed }
    }
    if (!quiet) host.out(output === 'human' ? checkText(result) : `${prettyJson(checkJson(result, text, disk.format))}\n`)
    if (result.checkErrors > 0) return 1
    return result.corruptions > 0 ? 2 : result.leaks > 0 ? 3 : 0
  },
}
