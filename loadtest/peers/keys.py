"""Whose API key a request brings: one key, PEER_KEY, of tenant "demo", kept as its hash."""

import hashlib
import os
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import APIKeyHeader

TENANTS = {hashlib.sha256(os.environ["PEER_KEY"].encode()).digest(): "demo"}


async def tenant_of(key: Annotated[str, Depends(APIKeyHeader(name="X-API-Key"))]) -> str:
    tenant = TENANTS.get(hashlib.sha256(key.encode()).digest())
    if tenant is None:
        raise HTTPException(401, "invalid_key")
    return tenant


Tenant = Annotated[str, Depends(tenant_of)]
