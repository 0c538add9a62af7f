import { readFileSync } from 'node:fs'

/**
 * What `--version` prints. Scripts that call the tool `qemu-img` look for the version whose behaviour they can expect.
 *
 * @internal
 */
export function versionLines(program: string): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
  const line = program === 'qemu-img' ? `qemu-img version 7.2.0 (blockloom-img ${version})` : `${program} version ${version} (behaves as qemu-img 7.2)`
  return `${line}\nblockloom, MIT licence\n`
}
