// Lets the conformance suite start on a Node below 22, which lacks the function globSync
// of module fs. Only commands that the tests do not use call it.
import fs from 'node:fs';
import { register } from 'node:module';

const url = (source) => 'data:text/javascript,' + encodeURIComponent(source);

if (!fs.globSync) {
  const shim = url(`
    export * from 'node:fs';
    export { default } from 'node:fs';
    export function globSync() { throw new Error('this version of Node has no globSync'); }`);
  register(url(`
    export async function resolve(name, context, next) {
      return name === 'fs' && context.parentURL?.includes('/@modelcontextprotocol/conformance/')
        ? { url: ${JSON.stringify(shim)}, shortCircuit: true }
        : next(name, context);
    }`));
}
