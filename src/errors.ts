/**
 * Every error that Firmament raises carries one of these codes: AREA_PROBLEM.
 * The sentence says what the code means to whoever meets it; docs/spec/errors.md is made from
 * this table and a test compares the two.
 */
export const CODES = {
  // bytes
  BYTES_MALFORMED: 'text is not the hex, base64 or UTF-8 that it should be',
  // cbor
  CBOR_MALFORMED: 'the bytes are not well-formed CBOR, or not in the one encoding that is accepted',
  CBOR_TOO_DEEP: 'CBOR nested deeper than the bound',
  CBOR_TOO_LARGE: 'more CBOR bytes than the bound',
  CBOR_TYPE: 'a CBOR item has another type than the format asks for',
  // crypto
  CRYPTO_KEY_INVALID: 'a key is not valid for its algorithm',
  CRYPTO_INPUT_INVALID: 'a key, nonce or output length is not one that the algorithm takes',
  CRYPTO_AUTHENTICATION_FAILED: 'an authenticated ciphertext does not open with this key',
  // cose
  COSE_MALFORMED: 'not a COSE message of the shape that is accepted',
  COSE_ALGORITHM_UNSUPPORTED: 'the COSE algorithm is not one of those accepted',
  COSE_HEADER_INVALID:
    'a COSE header parameter is missing, unknown and critical, or in the wrong bucket',
  COSE_KEY_INVALID: 'not a COSE_Key of a supported kind, or its values are not valid',
  COSE_SIGNATURE_INVALID: 'the signature does not verify with this key',
  COSE_KEY_NOT_RECIPIENT: 'no key at hand opens a recipient of the encrypted message',
  // log
  LOG_OUT_OF_RANGE: 'an index or size that does not fit the log',
  LOG_NODE_MISSING: 'the store of the log or of its map does not hold a node that it must hold',
  LOG_PROOF_MALFORMED: 'a log proof whose size, index, path length or hashes are impossible',
  LOG_INCLUSION_INVALID: 'the entry is not in the log under this root',
  LOG_CONSISTENCY_INVALID: 'the two heads are not heads of one log',
  LOG_MAP_PROOF_MALFORMED: 'a map proof that is not of the documented shape',
  LOG_MAP_PROOF_INVALID: 'a map proof that does not answer for this key and value',
  LOG_MAP_PAGE_CORRUPT: 'a stored page of the map is not of the documented shape',
  LOG_EPOCH_MALFORMED: 'an epoch that is not of the documented shape',
  LOG_CHECKPOINT_MALFORMED: 'not a checkpoint of exactly origin, size and root',
  LOG_NOTE_MALFORMED: 'not a C2SP signed note, or larger than the bound',
  LOG_COSIGNATURE_MALFORMED: 'a cosignature that is not of the documented shape, or has no time',
  LOG_COSIGNATURE_INVALID: 'the cosignature does not verify over this head',
  LOG_RECEIPT_MALFORMED: 'a receipt that is not of the shape of RFC 9942 that is accepted',
  LOG_RECEIPT_INVALID: 'the receipt is not signed by this key for this entry',
  LOG_TILE_MALFORMED: 'not a tile, or not the path of one',
  // registry: policy and genesis
  POLICY_MALFORMED: 'a genesis, policy or root is not of the documented shape',
  POLICY_QUORUM: 'a policy whose quorum, copies or operators do not satisfy T09',
  POLICY_KEY_REUSED: 'a policy lists the same key twice',
  POLICY_VERSION: 'a policy change whose version is not the one after the policy in force',
  POLICY_APPROVALS:
    'a policy change without the approvals of enough operators of the old and of the new policy',
  // registry: statements
  STATEMENT_MALFORMED: 'a statement is not of the documented shape or not in its one encoding',
  STATEMENT_KIND_UNKNOWN: 'a statement of a kind that this registry does not know',
  STATEMENT_NETWORK:
    'a statement without this network as its audience: its author did not consent to publish here',
  STATEMENT_SIGNER_UNKNOWN:
    'a statement whose signer or key is not known to the registry for this kind',
  STATEMENT_HIGH_S: 'an ECDSA signature with a high s, which the registry refuses',
  STATEMENT_COUNTER: 'a statement whose counter is not above the last one of its signer: a replay',
  STATEMENT_SUBJECT:
    "a statement whose subject is not what its payload is about, or not its signer's",
  AUTHOR_EXISTS: 'an author with this key is registered already',
  AUTHOR_UNKNOWN: 'no such author is registered',
  AUTHOR_INVALID: 'an author registration whose keys, threshold or name are not acceptable',
  AUTHOR_APPROVAL_REQUIRED: 'this network registers authors only with approval',
  AUTHOR_PSK_FORBIDDEN: 'this network has no PSK authors: only one of mode private may allow them',
  RECOVERY_THRESHOLD: "fewer recovery keys signed than the author's threshold asks for",
  DELEGATION_INVALID:
    'a delegation that is there already, is not there to be ended, or is too much',
  TRANSFER_INVALID: 'a transfer to an author who did not agree, or who owns the line already',
  AUTHOR_OPERATOR_UNPROVEN: 'the operator that the author names did not sign for it',
  LINE_MALFORMED: 'not the text of a line: AUTHOR/VENDOR/CLASS/TRACK',
  LINE_EXISTS: 'the line is declared already',
  LINE_UNKNOWN: 'no such line is declared',
  LINE_FOREIGN: 'a statement on a line of another author',
  LINE_LIMIT: 'the author has as many lines as one author may have',
  LINE_VENDOR_UNPROVEN: 'the policy asks for a proven vendor domain before a line is declared',
  RELEASE_EXISTS: 'the release is registered already',
  RELEASE_UNKNOWN: 'no such release is registered',
  RELEASE_WITHDRAWN: 'the release is withdrawn',
  RELEASE_SEQUENCE: "the sequence number is not above the line's last, or too far above it",
  RELEASE_CLAIMS: 'the claims of a release differ from its manifest, or are not acceptable',
  RELEASE_VIA_UNKNOWN: 'the waypoint is not a release of this line that is still allowed',
  RELEASE_LOWEST:
    'the lowest sequence still allowed may only grow, and not beyond the next release',
  ATTACHMENT_MISSING: 'a release without its manifest, or another statement with an attachment',
  ATTACHMENT_MISMATCH: 'the attached manifest is not the one that was signed',
  ANCHOR_EXISTS: 'the image of this release is anchored already',
  ANCHOR_UNKNOWN: 'the image of this release is not anchored',
  ANCHOR_INVALID: 'the anchored size, chunks or root do not fit the image of the release',
  HOLD_INVALID: 'a hold or drop that does not fit the state of the ledger',
  BLOCK_MALFORMED: 'a block is not of the documented shape',
  BLOCK_SIGNER: 'a block that its orderer did not sign',
  // database
  DATABASE_LOCKED: 'another process has the database open',
  DATABASE_UNUSABLE: 'the database file can not be opened, or is not one of this version',
  DATABASE_FULL: 'the disk under a database is full: nothing of the change was kept',
  DATABASE_IO: 'the disk under a database failed: nothing of the change was kept',
  DATABASE_NESTED: 'a transaction inside a transaction',
  // ledger
  LEDGER_GENESIS_MISMATCH: 'the database belongs to another network',
  LEDGER_ORDERER_LIES:
    'the orderer signed a block that its own ledger refuses, or a second history: evidence kept, nothing committed',
  LEDGER_HALTED: 'this replica found its orderer lying and goes no further',
  LEDGER_OUT_OF_ORDER: 'a block that does not follow the last one here',
  LEDGER_GROUP_INVALID: 'a group of statements that is empty or too large for one block',
  LEDGER_BUSY: 'more statements are waiting to be ordered than the bound: try again later',
  LEDGER_CLOSED: 'the ledger is closed',
  LEDGER_HEIGHT_UNKNOWN:
    'a height, index or size that this replica does not have, or no longer has the map of',
  LEDGER_NOT_ORDERER: 'this key is not the one that the policy names to order blocks',
  LEDGER_SUPERSEDED:
    "the operators appointed another orderer, whose history has not this replica's newest blocks: none of them was acknowledged; remove the data folder and start again, the cosigner record stays",
  LEDGER_READ_ONLY: 'a view of committed state can not be written',
  // cosigner
  COSIGNER_RECORD_CORRUPT: 'the cosigner record is not readable: it is never reset by itself',
  COSIGNER_RECORD_FOREIGN: 'the cosigner record belongs to another key or network',
  COSIGNER_HEAD_UNKNOWN: 'a head that this replica did not derive itself at the end of an epoch',
  COSIGNER_CONFLICT: 'another root of the same size was cosigned with this key',
  COSIGNER_RECORD_IO: 'the cosigner record could not be written: nothing was signed',
  COSIGNER_ROLLBACK: 'a smaller head than one cosigned before',
  COSIGNER_BEHIND:
    'another operator holds a newer cosignature by this key: the record is an old copy',
  COSIGNER_UNCONFIRMED: 'too few operators have said what they last saw from this cosigner',
  // trust
  TRUST_PROOF_MALFORMED: 'an update proof is not of the documented shape',
  TRUST_QUORUM: 'fewer operators than the quorum cosigned this head',
  TRUST_POLICY_MISMATCH: 'the epoch names another policy than the pinned root, or an older one',
  TRUST_POLICY_CHAIN_INVALID:
    'a chain of policy changes that does not lead on from the pinned root: a step without approvals, or not the next',
  TRUST_HEAD_ROLLBACK: 'the head is older than one accepted before',
  TRUST_HEAD_FORK:
    'a head of the same size with another root than one accepted before: evidence of a lie',
  TRUST_EPOCH_NOT_LAST: 'the epoch is not the last leaf of the head',
  TRUST_MAP_INVALID: 'the map proof does not lead to a map root that fits the head',
  TRUST_LINE_ABSENT: 'the line is proven absent from the ledger',
  TRUST_AUTHOR_MISMATCH:
    'the author entry is not the one that the line names, or the author is revoked',
  TRUST_LINK_INVALID:
    'a link from the author anchor does not hold: not signed, out of order, or of another',
  TRUST_KEY_UNLINKED: 'no signed link leads from the author anchor to this release key',
  TRUST_KEY_UNLISTED: 'the author entry does not list this release key',
  TRUST_RELEASE_FOREIGN: 'a release of another line, author, network or device than provisioned',
  TRUST_NOT_NEWEST: 'the release is not the newest of its track, nor its waypoint, nor pending',
  TRUST_WITHDRAWN: 'the release is withdrawn or below the lowest sequence still allowed',
  TRUST_SEQUENCE_ROLLBACK: 'the sequence is not above the last confirmed one',
  TRUST_CLAIM_MISMATCH: 'the claims of the release differ from its manifest or from the map',
  TRUST_MAC_MISSING:
    "the envelope lacks the MAC that its author signed for, or any by the device's PSK",
  TRUST_MAC_INVALID: "the release has a MAC in the name of the device's PSK that it does not make",
  TRUST_NOT_APPLICABLE: 'the release may not be installed over the installed one and names no way',
  TRUST_UNPROVISIONED:
    'the device has no anchor, line, root or floor for this: it is never taken from the network',
  TRUST_MEMORY_CORRUPT: 'what a reader remembers can not be read back: it is never reset by itself',
  TRUST_STALE: 'everything holds but the age or the policy version',
  // suit: encoding
  SUIT_TRUNCATED: 'the bytes end inside a SUIT structure',
  SUIT_TRAILING_BYTES: 'bytes follow the end of a SUIT structure',
  SUIT_LENGTH_INDEFINITE: 'an indefinite length, which SUIT does not have',
  SUIT_NOT_SHORTEST: 'an integer or length that is not in its shortest form',
  SUIT_KEY_DUPLICATE: 'a map that has the same key twice',
  SUIT_MAP_ORDER: 'a map whose keys are not in the canonical order',
  SUIT_WRAPPER_LATE: 'the manifest comes before the authentication wrapper',
  SUIT_ENCODING: 'a CBOR item of a kind that SUIT does not use',
  SUIT_TOO_DEEP: 'SUIT structures or command sequences nested deeper than the bound',
  SUIT_TOO_LARGE: 'a part of an envelope or manifest is larger than its bound',
  SUIT_TYPE: 'a SUIT member has another type than the draft gives it',
  // suit: envelope and manifest
  SUIT_UNTAGGED: 'an envelope without its tag 107, which is accepted only when asked for',
  SUIT_TAG_UNKNOWN: 'a tag that is not the one of a SUIT envelope',
  SUIT_DRAFT_OLD: 'the format of an old draft, which is recognised but not read',
  SUIT_KEY_UNKNOWN: 'a key of an envelope, manifest, common or text map that no draft defines',
  SUIT_MEMBER_UNSUPPORTED: 'a member of an extension that is not supported',
  SUIT_MEMBER_MISSING: 'a member that the draft requires is missing',
  SUIT_VERSION_UNSUPPORTED: 'the manifest version is not 1',
  SUIT_COMPONENT_INVALID:
    'a component list or identifier that is empty, repeated or beyond its bounds',
  SUIT_COMPONENT_INDEX_RANGE: 'a component index beyond the list of components',
  SUIT_COMPONENT_INDEX_MISSING:
    'a sequence that does not begin with set-component-index though there are several components',
  SUIT_COMMAND_UNKNOWN: 'a command that no draft defines',
  SUIT_COMMAND_UNSUPPORTED: 'a command of an extension that is not supported',
  SUIT_COMMAND_MISPLACED: 'a command that the shared sequence may not have',
  SUIT_CUSTOM_IN_SHARED: 'a custom command or parameter in the shared sequence',
  SUIT_POLICY_INVALID: 'a reporting policy with bits that no draft defines',
  SUIT_PARAMETER_UNKNOWN: 'a parameter that no draft defines',
  SUIT_PARAMETER_UNSUPPORTED: 'a parameter of an extension that is not supported',
  SUIT_PARAMETER_MISPLACED: 'strict-order or soft-failure where only a component has parameters',
  SUIT_ENCRYPTION_INFO_INVALID:
    'encryption-info that is not a COSE_Encrypt of the accepted profile',
  SUIT_SOFT_FAILURE_MISPLACED: 'soft-failure set outside try-each and run-sequence',
  SUIT_DIGEST_ALGORITHM_UNSUPPORTED: 'a digest algorithm that is not supported',
  SUIT_DIGEST_MISMATCH: 'the manifest is not the one that the digest names',
  SUIT_SEVERED_UNDECLARED: 'a severed member that the manifest has no digest of',
  SUIT_SEVERED_DUPLICATE: 'a member both in the manifest and severed from it',
  SUIT_SEVERED_DIGEST_MISMATCH: 'a severed member that is not the one that the manifest names',
  SUIT_SEVERED_ABSENT: 'a section that was severed and is not at hand',
  SUIT_INTEGRATED_UNREFERENCED: 'an integrated payload that no signed digest covers',
  SUIT_INTEGRATED_DIGEST_MISMATCH:
    'an integrated payload that is not the one that the manifest names',
  SUIT_IDENTITY_AMBIGUOUS: 'the shared sequence does not check exactly one vendor id and class id',
  SUIT_TOO_COMPLEX: 'a manifest with more alternatives than are followed',
  // suit: authentication
  SUIT_UNAUTHENTICATED: 'no authentication block that could be checked',
  SUIT_SIGNATURE_INVALID: 'no authentication block verifies with a trusted key',
  SUIT_BLOCKS_TOO_MANY: 'more authentication blocks than are tried',
  SUIT_BLOCK_MALFORMED: 'an authentication block is not of the shape that is accepted',
  SUIT_ALGORITHM_UNPROTECTED: 'an algorithm outside the protected header',
  SUIT_PAYLOAD_ATTACHED: 'an authentication block with its payload attached',
  SUIT_SIGNATURE_DER: 'a DER signature where COSE has r and s as 64 bytes',
  SUIT_UNPROTECTED_LABEL: 'an unprotected header parameter that is not accepted there',
  // suit: processing
  SUIT_SEQUENCE_ROLLBACK: 'the sequence number is lower than the stored one',
  SUIT_COMPONENT_UNSUPPORTED: 'the device has no such component',
  SUIT_VENDOR_MISMATCH: 'the manifest is for another vendor',
  SUIT_CLASS_MISMATCH: 'the manifest is for another class of device',
  SUIT_DEVICE_MISMATCH: 'the manifest is for another device',
  SUIT_SLOT_MISMATCH: 'the component is in another slot',
  SUIT_IMAGE_MISMATCH: 'the component does not hold the image that the manifest names',
  SUIT_CONTENT_MISMATCH: 'the component does not hold the content that the manifest names',
  SUIT_DIGEST_MISSING: 'an image-match without a digest to match',
  SUIT_PARAMETER_MISSING: 'a command without a parameter that it needs',
  SUIT_ABORTED: 'the manifest aborts here',
  SUIT_TRY_EACH_EXHAUSTED: 'no sequence of a try-each succeeded',
  SUIT_STRICT_ORDER: 'commands that may not stand where order is not strict',
  SUIT_STEPS_EXHAUSTED: 'the manifest runs more commands than the bound',
  SUIT_INTEGRATED_MISSING: 'the integrated payload that is to be fetched is not in the envelope',
  SUIT_OPERATION_FAILED: 'the device failed to carry out a command',
  SUIT_CAPABILITY_MISSING:
    'the device has not what a command needs: a clock, a battery gauge, keys',
  SUIT_EXPIRED: 'the time until which the manifest was to be used has passed',
  SUIT_BATTERY_LOW: 'the battery has less charge than the manifest asks for',
  SUIT_NOT_AUTHORIZED: 'the device was not given leave for this update',
  SUIT_VERSION_MISMATCH: 'the component has another version than the manifest asks for',
  SUIT_IMAGE_PRESENT: 'the component holds the image that the manifest does not want there',
  SUIT_WAITING: 'the manifest waits for an event that has not come',
  SUIT_DECRYPTION_FAILED: 'the encrypted payload was changed, or is not for the keys at hand',
  SUIT_ENCRYPTION_UNPROVEN: 'a text was decrypted that no digest or tag has proven',
  SUIT_NOT_DEPENDENCY: 'the component is no dependency',
  SUIT_DEPENDENCY_UNCHECKED: 'a dependency that no dependency-integrity condition has checked',
  SUIT_DEPENDENCY_MISMATCH: 'the dependency is not the manifest that the dependent names',
  SUIT_DEPENDENCY_UNPROCESSED: 'a section of a dependency was passed over by its dependent',
  SUIT_DEPENDENCY_TOO_DEEP: 'dependencies nested deeper, or more of them, than the bound',
  SUIT_DESCRIPTION_INVALID: 'a description of a manifest is not of the documented shape',
  // suit: reports
  SUIT_REPORT_MALFORMED: 'not a SUIT report of the accepted shape',
  // net
  INTERNAL: "the server failed in a way that is not the request's fault; its log has the cause",
  NET_ABORTED: 'the caller gave up before the answer was complete',
  NET_ADDRESS_PRIVATE: 'the URL leads to an address that is not public',
  NET_CERTIFICATE_INVALID: 'a TLS certificate or key is not usable',
  NET_KEY_UNSUPPORTED: 'certificates are issued for P-256 keys only',
  NET_LISTEN_FAILED: 'the server can not listen on this address and port',
  NET_NOT_FOUND: 'no such path',
  NET_PIN_MISMATCH: 'the server has another TLS key than the pinned one, or none is pinned for it',
  NET_RATE_LIMITED: 'too many requests from this client: try again later',
  NET_REMOTE_REFUSED: 'the server refused with a status that carries none of our codes',
  NET_REQUEST_INVALID: 'the request is not one that this server takes',
  NET_SERVER_UNTRUSTED:
    'the server has no valid certificate for its address under the root that is pinned',
  NET_TIMEOUT: 'no answer, or too slow a one, within the time allowed',
  NET_TOO_LARGE: 'a request or an answer has more bytes than the bound',
  NET_UNREACHABLE: 'the server can not be reached, or closed the connection',
  // store
  STORE_ARCHIVE_INCOMPLETE: 'the archive lacks blocks that its index names',
  STORE_ARCHIVE_MALFORMED: 'not an archive of a release of the documented shape',
  STORE_BLOCK_MISSING: 'the block is not in this store',
  STORE_BLOCK_TOO_LARGE: 'a block has more bytes than a block may have',
  STORE_CAR_MALFORMED: 'not a CAR v1 file with the CIDs that this store has',
  STORE_CID_INVALID: 'not a CIDv1 of a raw or dag-pb block under SHA-256 in lowercase base32',
  STORE_DIGEST_MISMATCH: 'the bytes do not hash to the digest that names them',
  STORE_FORBIDDEN: 'this peer may not read blocks here',
  STORE_FORMAT_UNACCEPTABLE: 'blocks are served as raw bytes only: ask with format=raw',
  STORE_IMAGE_EMPTY: 'an image has at least one byte',
  STORE_IMAGE_TOO_LARGE: 'an image has at most 4 GiB',
  STORE_FULL: 'the disk under the store is full',
  STORE_IO: 'the disk under the store failed',
  STORE_LAYOUT_MISMATCH: 'size, chunks and root of an image do not fit each other',
  STORE_UNAVAILABLE: 'no holder that is reachable and honest has every block that is missing',
  // api
  API_QUERY_INVALID: 'a query parameter or header is not of the documented form',
  API_GROUP_SIZE: 'a registration carries 1 to 16 statements',
  DOWNLINK_MALFORMED: 'an MQTT payload or topic is not of the documented form',
  ENROLMENT_BUNDLE_INVALID: 'not an enrolment bundle',
  ENROLMENT_CODE_INVALID: 'the enrolment code is unknown, spent, expired or for another model',
  ENROLMENT_CSR_INVALID: 'the certificate request is not valid, or its key is not its own',
  ENROLMENT_KEY_UNSUPPORTED: 'devices have P-256 keys',
  ENROLMENT_ANSWER_INVALID: "the gateway's answer does not fit what was asked of it",
  // gateway
  GATEWAY_CONFIG: 'the configuration of a gateway is not valid',
  GATEWAY_BROKER_REFUSED: 'a device may not do this at the broker: its session ends',
  GATEWAY_DEVICE_UNKNOWN: 'no such device is enrolled at this gateway',
  GATEWAY_RELEASE_UNSUPPORTED:
    'a gateway keeps releases of one image with a size and a SHA-256 digest',
  GATEWAY_STORAGE_FULL: 'the local repository has no room for another image',
  GATEWAY_TOKEN_INVALID: 'the call does not carry the token of the owner',
  GATEWAY_OFFER_UNKNOWN: 'no such offer was made to this device',
  GATEWAY_REPORT_REPLAYED:
    'a report that was counted already, or whose counter is not above the last one of its device',
  // node
  NODE_NO_QUORUM: 'no head with the cosignatures of k operators is known here yet',
  NODE_PEER_UNKNOWN: "the caller is not one of the network's nodes",
  NODE_HEAD_FORK: 'a cosigned head that this node derived otherwise: somebody lies',
  NODE_BACKUP_EXISTS: 'the folder for a backup is there already',
  NODE_BACKUP_INVALID: 'not a finished backup of this node',
  NODE_RESTORE_OCCUPIED: 'a backup is restored into a new data folder only',
  NODE_OVERLOADED:
    'more of these requests are under way here than this node takes: try again later',
  NODE_ROLE: 'this node does not play the role that the call needs',
  NODE_HALTED: 'this node stopped following: it has evidence that its orderer lies',
  NODE_FROZEN_WITHHELD:
    'this node signs no heads: the orderer has left a withdrawal, revocation or policy change waiting too long',
  NODE_FROZEN_UNHEARD: 'this node signs no heads: it has not heard from the orderer for too long',
  NODE_TAKEOVER_INVALID:
    'a take-over of the ledger by a node that no valid policy change names as its orderer',
  NODE_CONFIG: 'the configuration of a node is not valid',
  NODE_ORDERER_UNREACHABLE: 'the orderer does not answer; nothing can be registered until it does',
  NODE_RECEIPT_PENDING: 'ordered, but not yet cosigned by k operators',
  NODE_IMAGE_INCOMPLETE: 'no node that can be reached has all blocks of this image',
  // author
  AUTHOR_FILE_EXISTS:
    'an author, key or output file of this name is there already and is not overwritten',
  AUTHOR_FILE_INVALID: 'a file of the author is not of the documented shape',
  AUTHOR_PASSPHRASE_EMPTY: 'a key file needs a passphrase',
  AUTHOR_PASSPHRASE_WRONG: 'the passphrase does not open this key file, or the file was changed',
  AUTHOR_NETWORK: 'the author has no network pinned, or another one',
  AUTHOR_TEST_BUILD:
    'the release is a test build: its author did not consent to publish it on this network',
  AUTHOR_RELEASE_FOREIGN: 'the release is not signed by this author',
  AUTHOR_IMAGE_MISMATCH:
    'an image given is none that the release names, or one that it names was not given',
  AUTHOR_DOCUMENT_MISMATCH: 'a document is not the one whose digest was given',
  AUTHOR_NODE_LIES: 'a node answered with something else than what was asked of it',
  AUTHOR_REQUEST_UNFINISHED:
    'another request of recovery keys is being submitted: give that one to author keys submit first',
  AUTHOR_SIGNER_FAILED: 'the outside signer gave no signature by the key that was named, in time',
  AUTHOR_TIMEOUT: 'what was waited for did not happen in time; the same command can be given again',
  // device
  DEVICE_OPERATION_UNSUPPORTED: 'the manifest asks of the device what it can not do',
  DEVICE_NO_NODE: 'no node that the device may ask gave an answer that it accepts',
  DEVICE_CONSENT_NEEDED: "the proof is stale: installing needs the owner's consent",
  DEVICE_TRIAL_FAILED: 'the new image did not pass its trial and was rolled back',
  DEVICE_PROVISIONING_INVALID: 'the provisioning file is not of the documented shape',
  DEVICE_STORAGE_FULL: "the device's storage is full: what is installed stays as it is",
  DEVICE_STORAGE_IO: "the device's storage failed",
  DEVICE_STATE_CORRUPT: 'a state file of the device is not readable: it is never reset by itself',
  DEVICE_STATE_ROLLBACK: 'a change that would take back what the device had already accepted',
  DEVICE_SLOT_STATE: 'the slots are not in the state that this step needs',
  DEVICE_TRIAL_RUNNING: 'a trial is pending or running: nothing is installed before it ends',
  DEVICE_TRIAL_FAILED_BEFORE:
    'this release failed its trial here before and is not tried again by itself',
  DEVICE_IMAGE_CORRUPT: 'the image in a slot is not the one that was to be installed',
  DEVICE_IMAGE_TOO_LARGE: 'the image is larger than a slot',
  DEVICE_SOURCE_INVALID: 'a source answered something else than the asked part of the image',
  DEVICE_DOWNLOAD_FAILED: 'no source gave the whole image: what came is kept for the next try',
  DEVICE_DOWNLOAD_MISMATCH: 'no source gave an image with the digest of the release',
  DEVICE_FIRMWARE_SILENT:
    'the firmware did not start, or does not answer the health check as it should',
  DEVICE_CANCELLED: 'the device was told to stop',
  DEVICE_NOT_ENROLLED: 'the device is enrolled at no gateway',
  DEVICE_BATTERY_LOW: 'the battery is too low to begin an update',
} as const satisfies Record<string, string>;

export type Code = keyof typeof CODES;

export type Details = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

/** The one error type: a stable code for machines, a sentence for people, details for both. */
export class FirmamentError extends Error {
  override readonly name = 'FirmamentError';
  readonly code: Code;
  readonly details: Details;

  constructor(code: Code, message?: string, details: Details = {}, options?: ErrorOptions) {
    super(message ?? CODES[code], options);
    this.code = code;
    this.details = details;
  }
}

/** Throws a coded error; an expression, so that it can stand after `??`. */
export function fail(code: Code, message?: string, details?: Details, cause?: unknown): never {
  throw new FirmamentError(code, message, details, cause === undefined ? undefined : { cause });
}

/** Throws a coded error unless the condition holds. */
export function check(
  condition: boolean,
  code: Code,
  message?: string,
  details?: Details,
): asserts condition {
  if (!condition) fail(code, message, details);
}

/** The code of a thrown value, or undefined when it is not one of ours. */
export function codeOf(error: unknown): Code | undefined {
  return error instanceof FirmamentError ? error.code : undefined;
}
