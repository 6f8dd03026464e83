"""The usual way to serve a cached answer: FastAPI and Redis. Settings: PEER_REDIS (a URL), PEER_KEY."""

import hashlib
import os
from contextlib import asynccontextmanager
from typing import Annotated

import redis.asyncio as redis
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import APIKeyHeader

TENANTS = {hashlib.sha256(os.environ["PEER_KEY"].encode()).digest(): "demo"}


@asynccontextmanager
async def lifespan(app):
    app.state.redis = redis.from_url(os.environ["PEER_REDIS"])
    yield
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


async def tenant_of(key: Annotated[str, Depends(APIKeyHeader(name="X-API-Key"))]) -> str:
    tenant = TENANTS.get(hashlib.sha256(key.encode()).digest())
    if tenant is None:
        raise HTTPException(401, "invalid_key")
    return tenant


@app.get("/v1/kpi/minute")
async def kpi(
    request: Request, tenant: Annotated[str, Depends(tenant_of)], currency: str = "", limit: int = 2000
) -> Response:
    body = await request.app.state.redis.get(f"peer:{tenant}:kpi:{currency}:{limit}")
    if body is None:
        raise HTTPException(404, "not_found")
    return Response(body, media_type="application/json")
