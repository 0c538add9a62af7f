import { run } from './run.ts'

/** Counts of `qemu-img check --output=json`; absent fields of it are 0. */
export interface OracleCheck {
  /** 0 clean, 1 the check failed, 2 corruptions, 3 leaks only. */
  readonly status: number
  readonly corruptions: number
  readonly leaks: number
  readonly checkErrors: number
  readonly output: string
}

/** Runs `qemu-img check`. */
export function checkImage(image: string, format = 'qcow2'): OracleCheck {
  const { status, stdout, stderr } = run('qemu-img', ['check', '-f', format, '--output=json', image])
  let counts: Record<string, number> = {}
  try {
    counts = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Record<string, number>
  } catch {
    // Refused before it could count.
  }
  return { status, corruptions: counts['corruptions'] ?? 0, leaks: counts['leaks'] ?? 0, checkErrors: counts['check-errors'] ?? 0, output: stdout + stderr }
}
