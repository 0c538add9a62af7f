const functions = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

/** Calls `visit` for every node below, without entering nested functions, until it returns true. */
function some(node, keys, visit) {
  if (visit(node)) return true
  for (const key of keys[node.type] ?? []) {
    const value = node[key]
    for (const child of Array.isArray(value) ? value : [value]) {
      if (child && !functions.has(child.type) && some(child, keys, visit)) return true
    }
  }
  return false
}

/**
 * `x += await f()` and `x = x + await f()`: the old value is read before the await, and what others wrote
 * meanwhile is lost. Take the awaited value first: `const n = await f(); x += n`.
 */
export const noAwaitInUpdate = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const source = context.sourceCode
    const keys = source.visitorKeys
    return {
      AssignmentExpression(node) {
        const { left, operator, right } = node
        if (!some(right, keys, (inner) => inner.type === 'AwaitExpression')) return
        const target = source.getText(left)
        // `??=`, `||=` and `&&=` decide before the await as well.
        const stale = operator !== '=' || some(right, keys, (inner) => inner.type === left.type && source.getText(inner) === target && beforeAwait(inner, right))
        if (stale) context.report({ node, message: `The value of '${target}' is read before the await and written after it: await first, then update.` })
      },
    }

    /** The read stands before some await of the same expression, or in its argument. */
    function beforeAwait(read, expression) {
      return some(expression, keys, (inner) => inner.type === 'AwaitExpression' && inner.range[1] > read.range[0])
    }
  },
}
