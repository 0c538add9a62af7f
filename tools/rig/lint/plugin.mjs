// Lint rules that oxlint does not have, about state that is read before an await and written after it.
import { builtinRules } from 'eslint/use-at-your-own-risk'
import { noAwaitInUpdate } from './no-await-in-update.mjs'

export default {
  meta: { name: 'rig' },
  rules: {
    // ESLint's own rule: follows variables along the paths of the code.
    'require-atomic-updates': builtinRules.get('require-atomic-updates'),
    // What that rule does not see: members of `this` and of objects.
    'no-await-in-update': noAwaitInUpdate,
  },
}
