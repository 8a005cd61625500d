/** What an operator hands to the others of a node that takes part in the consortium engine. */
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { memberName, type EngineMember } from '../registry/orderer.ts';
import { bytesOf, objectOf, readJson, textOf, type Json } from './json-fields.ts';

export function memberJson(member: EngineMember): Json {
  return {
    node: memberName(member),
    key: hex(member.key.bytes),
    peer: hex(member.peer),
    address: member.address,
    validator: member.validator,
  };
}

/** Errors: NODE_CONFIG; what the policy asks of a member is for the policy to say. */
export function memberOfJson(value: unknown): EngineMember {
  const json = objectOf(value, 'an engine member');
  const [operator = '', node = ''] = textOf(json, 'node').split('/');
  const { validator } = json;
  check(typeof validator === 'boolean', 'NODE_CONFIG', '"validator" is true or false');
  return {
    operator,
    node,
    key: { curve: 'Ed25519', bytes: bytesOf(json, 'key') },
    peer: bytesOf(json, 'peer'),
    address: textOf(json, 'address'),
    validator,
  };
}

export function readMember(path: string): EngineMember {
  return memberOfJson(readJson(path));
}
