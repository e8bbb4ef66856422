# SPDX-License-Identifier: Apache-2.0
"""Ranking: interest, and the lists that are made of it; numpy alone."""
