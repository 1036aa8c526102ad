/** Numbers of the kernel's errors for people. */
import { getSystemErrorMap } from 'node:util';

/** `ECONNREFUSED`. */
export function errnoName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/** `Connection refused`. */
export function errnoText(errno: number): string {
  const text = getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
