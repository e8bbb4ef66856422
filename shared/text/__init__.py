# SPDX-License-Identifier: Apache-2.0
"""Text to vectors: one encoder for the server's public texts and for a device's private ones."""
