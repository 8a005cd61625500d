/** Codes of what runs: databases, ledgers, servers, stores and the roles. */
export const SERVICE_CODES = {
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
  LEDGER_ENGINE: 'the policy in force names another engine than this is for',
  LEDGER_UNDECIDED: 'nothing is decided that could be committed upon the newest block here',
  LEDGER_REPLAY:
    'the engine repeats other blocks than those this ledger was made of: its folder belongs to another ledger',
  LEDGER_CERTIFICATE:
    'a block of the consortium engine without the certificate that proves it, or with that of another block',
  // snapshots
  SNAPSHOT_MALFORMED: 'bytes that are no snapshot of the documented shape, or beyond its bounds',
  SNAPSHOT_MISMATCH:
    'a snapshot whose rows do not lead to the head that the validators certified: nothing of it is kept',
  SNAPSHOT_INCOMPLETE: 'a snapshot that ends before its last row',
  SNAPSHOT_FOREIGN: 'a snapshot of another network',
  SNAPSHOT_FORK: 'a snapshot of a history other than the one here, or one that is not further on',
  SNAPSHOT_UNREADY: 'no snapshot can be made now: the engine has not caught up with this ledger',
  LEDGER_UNORDERED:
    'taken and kept on disk, not ordered yet: it is put forward again until it is ordered or refused',
  LEDGER_TIME_AHEAD:
    "the orderer's block lies ahead of this node's clock by more than the policy allows: it is not taken in yet",
  // consortium engine
  ENGINE_BINARY_MISSING:
    'the CometBFT binary is missing or does not run: scripts/install-cometbft gets it',
  ENGINE_BINARY_VERSION:
    'a CometBFT of a version that is not tested here: scripts/install-cometbft gets one that is',
  ENGINE_FRAME_INVALID: 'a message on the engine socket is malformed or above its bound',
  ENGINE_HOME_FOREIGN: 'the folder of the engine belongs to another key or another chain',
  ENGINE_STATE_LOST:
    'this key has voted already and what it signed last is not on this disk: the member needs new engine keys',
  ENGINE_HEIGHT: 'the engine asks for a height that does not follow the last one here',
  ENGINE_RPC: 'the engine refused or did not answer a question',
  ENGINE_SOCKET_PATH: 'no folder for the sockets of the engine whose path is short enough',
  ENGINE_TRANSACTION: 'not a group of statements, or one that is too large',
  ENGINE_FAULT: 'the engine stopped, or its height stands still',
  // cosigner
  COSIGNER_RECORD_CORRUPT: 'the cosigner record is not readable: it is never reset by itself',
  COSIGNER_RECORD_FOREIGN: 'the cosigner record belongs to another key or network',
  COSIGNER_HEAD_UNKNOWN: 'a head that this replica did not derive itself at the end of an epoch',
  COSIGNER_CONFLICT: 'another root of the same size was cosigned with this key',
  COSIGNER_RECORD_IO: 'the cosigner record could not be written: nothing was signed',
  COSIGNER_ROLLBACK: 'a smaller head than one cosigned before',
  COSIGNER_BEHIND:
    'another operator holds a newer cosignature by this key: the record is an old copy',
  COSIGNER_BACKDATED:
    'a head made after its orderer had said that there was none, with a time from before that',
  COSIGNER_UNLISTED: 'the policy in force does not list this cosigner',
  COSIGNER_UNSIGNED: 'this cosigner has not signed a head yet',
  COSIGNER_UNCONFIRMED: 'too few operators have said what they last saw from this cosigner',
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
  API_STREAM_MALFORMED: 'a stream of changes is not of the documented form, or a flood',
  DOWNLINK_MALFORMED: 'an MQTT payload or topic is not of the documented form',
  ENROLMENT_BUNDLE_INVALID: 'not an enrolment bundle',
  ENROLMENT_CODE_INVALID: 'the enrolment code is unknown, spent, expired or for another model',
  ENROLMENT_CSR_INVALID: 'the certificate request is not valid, or its key is not its own',
  ENROLMENT_KEY_UNSUPPORTED: 'devices have P-256 keys',
  ENROLMENT_ANSWER_INVALID: "the gateway's answer does not fit what was asked of it",
  // report batches
  BATCH_MALFORMED: 'a batch of reports is not of the documented shape, or beyond its bounds',
  BATCH_ROOT_MISMATCH:
    'a batch of reports, or a part of it, is not under the root that it came with',
  BATCH_RECORD_INVALID:
    'a record in a batch that its device did not sign for this offer, release and network',
  BATCH_RECORD_REPEATED: 'a record of an attempt that another record told of already',
  BATCH_FOREIGN: 'a batch for another author',
  BATCH_SEALED: 'a sealed batch that is for another key, root or network, or was changed',
  BATCH_UNPROVEN: 'nothing proves that this batch of reports is on the ledger',
  BATCH_UNKNOWN: 'no such batch of reports is known here, or not any more',
  BATCH_PENDING: 'the batch of reports is not on the ledger with a receipt yet',
  BATCH_REQUEST_INVALID:
    'a request for sealed reports that the author did not sign for this node and time',
  // gateway
  GATEWAY_CONFIG: 'the configuration of a gateway is not valid',
  GATEWAY_BROKER_REFUSED: 'a device may not do this at the broker: its session ends',
  GATEWAY_HINT_FALSE: 'a node announced heads that it does not have, or none of those that it has',
  GATEWAY_BACKUP_EXISTS:
    'the folder for a backup is there already, or another backup is being made',
  GATEWAY_BACKUP_INVALID: 'not a finished backup of a gateway',
  GATEWAY_DEVICE_UNKNOWN: 'no such device is enrolled at this gateway',
  GATEWAY_RELEASE_UNSUPPORTED:
    'a gateway keeps releases of one image with a size and a SHA-256 digest',
  GATEWAY_RESTORE_OCCUPIED: 'a backup is restored into a new data folder only',
  GATEWAY_STORAGE_FULL: 'the local repository has no room for another image',
  GATEWAY_IMAGE_MISSING: 'the image is not in the repository of the gateway just now',
  GATEWAY_TOKEN_INVALID: 'the call does not carry the token of the owner',
  GATEWAY_OFFER_UNKNOWN: 'no such offer was made to this device',
  GATEWAY_REPORT_REPLAYED:
    'a report that was counted already, or whose counter is not above the last one of its device',
  // node
  NODE_NETWORK_EXISTS: 'a network is in this folder already: it stays as it is',
  NODE_NO_QUORUM: 'no head with the cosignatures of k operators is known here yet',
  NODE_NO_COMMIT: 'no commit of a consortium engine is known here',
  NODE_PEER_UNKNOWN: "the caller is not one of the network's nodes",
  NODE_HEAD_FORK: 'a cosigned head that this node derived otherwise: somebody lies',
  NODE_BEHIND: 'this node has not caught up with the ledger yet: ask another, or later',
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
  DEVICE_LOCKED: 'another process runs the device in this folder',
  DEVICE_TIME_UNUSABLE: "the time server's answer is not one to take the time from",
  DEVICE_NOT_ENROLLED: 'the device is enrolled at no gateway',
  DEVICE_BATTERY_LOW: 'the battery is too low to begin an update',
} as const satisfies Record<string, string>;
