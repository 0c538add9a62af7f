import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync, type Stats } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import vm from 'node:vm'

/** Commands that take longer need no fast start; and V8 may have dropped by then what it compiled at the start. */
const SHORT_MS = 2000
/** Names that can be part of a file's name. */
const PLAIN = /^[\w.-]{1,80}$/

/**
 * Runs a script, compiled as V8 compiled it in an earlier process; returns its value.
 *
 * Node has a cache of its own, `module.enableCompileCache()`. It keeps what is compiled while a file is loaded; functions
 * that are compiled at their first call are compiled again in every process, which takes as long as all else that a
 * short command does. This one is written at the end, and has all that was called. It lies in the same place, obeys the
 * same environment variables (in a folder of its own, which only its owner can change), and is used only if nobody else
 * could have written it.
 *
 * @param name - changes whenever the script does
 * @internal
 */
export function runWithCodeCache(path: string, name: string): unknown {
  const cache = cachePath(name)
  const cachedData = cache === undefined ? undefined : readCache(cache)
  const script = new vm.Script(readFileSync(path, 'latin1'), {
    filename: path,
    ...(cachedData === undefined ? {} : { cachedData }),
  })
  if (cache !== undefined && (cachedData === undefined || script.cachedDataRejected)) process.once('exit', () => writeCache(cache, script))
  return script.runInThisContext()
}

function cachePath(name: string): string | undefined {
  module.enableCompileCache?.()
  const directory = module.getCompileCacheDir?.()
  if (directory === undefined || !PLAIN.test(name)) return undefined
  return join(directory, 'blockloom', `${name}.code`)
}

/** The compiled code, if it is ours. */
function readCache(path: string): Buffer | undefined {
  let fd: number | undefined
  try {
    if (!isOurs(lstatSync(dirname(path)))) return undefined
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    return isOurs(fstatSync(fd)) ? readFileSync(fd) : undefined
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Whoever else could write to it could have us run anything. */
function isOurs({ uid, mode }: Stats): boolean {
  return uid === (process.getuid?.() ?? uid) && (mode & 0o022) === 0
}

function writeCache(path: string, script: vm.Script): void {
  if (process.uptime() * 1000 > SHORT_MS) return
  const temporary = `${path}.${process.pid}`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(temporary, script.createCachedData(), { flag: 'wx', mode: 0o600 })
    renameSync(temporary, path)
  } catch {
    // Then the next start is no faster.
    try {
      unlinkSync(temporary)
    } catch {
      // It is not there, or not ours.
    }
  }
}
