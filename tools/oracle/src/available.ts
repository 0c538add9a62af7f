import { spawnSync } from 'node:child_process'

let known: boolean | undefined

/** The reference tools are installed. With `BLOCKLOOM_REQUIRE_ORACLE=1` their absence is an error. */
export function oracleAvailable(): boolean {
  known ??= ['qemu-img', 'qemu-io'].every((tool) => spawnSync(tool, ['--version']).status === 0)
  if (!known && process.env['BLOCKLOOM_REQUIRE_ORACLE'] === '1') {
    throw new Error('BLOCKLOOM_REQUIRE_ORACLE is set, and qemu-img or qemu-io is not installed (Debian: qemu-utils)')
  }
  return known
}

/** Throws where the tools are absent. */
export function requireOracle(): void {
  if (!oracleAvailable()) throw new Error('The reference tools are not installed (Debian: qemu-utils)')
}
