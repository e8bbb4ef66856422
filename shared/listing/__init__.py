# SPDX-License-Identifier: Apache-2.0
"""Tables of public items as files give them: rows, cleaning rules, what a folder declares."""
