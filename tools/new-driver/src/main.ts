import path from 'node:path'
import { KINDS, namesOf } from './names.ts'
import { scaffold } from './scaffold.ts'

const [kind, name] = process.argv.slice(2)
if (kind === undefined || name === undefined) {
  console.error(`usage: npm run new-driver -- <${KINDS.join('|')}> <name>`)
  process.exit(2)
}
try {
  const files = scaffold(path.resolve(import.meta.dirname, '../../..'), namesOf(kind, name))
  console.log(files.join('\n'))
  console.log('\nNext: npx --yes pnpm@<the version in package.json> install, then npm run api:update, then npm test.')
} catch (error) {
  console.error((error as Error).message)
  process.exit(1)
}
