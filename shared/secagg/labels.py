# SPDX-License-Identifier: Apache-2.0
"""Domain-separation labels: every hash, key and signature of a session names its purpose here.

No label is a prefix of another and each ends in a zero byte, so no two purposes can ever hash,
derive or sign the same bytes. A change of any formula takes a new version in all of them.
"""

TERMS = b"privet/secagg/v1/terms\0"
SESSION = b"privet/secagg/v1/session\0"
MESSAGE = b"privet/secagg/v1/message\0"
STATEMENT = b"privet/secagg/v1/statement\0"
COMMITMENT = b"privet/secagg/v1/seed-commitment\0"
SEAL = b"privet/secagg/v1/seal-key\0"
PAIR_MASK = b"privet/secagg/v1/pair-mask\0"
SELF_MASK = b"privet/secagg/v1/self-mask\0"
