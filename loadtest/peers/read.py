"""The usual way to serve a cached answer: FastAPI and Redis. Settings: PEER_REDIS (a URL), PEER_KEY."""

import os
from contextlib import asynccontextmanager

import redis.asyncio as redis
from fastapi import FastAPI, HTTPException, Request, Response
from keys import Tenant


@asynccontextmanager
async def lifespan(app):
    app.state.redis = redis.from_url(os.environ["PEER_REDIS"])
    yield
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


@app.get("/v1/kpi/minute")
async def kpi(request: Request, tenant: Tenant, currency: str = "", limit: int = 2000) -> Response:
    body = await request.app.state.redis.get(f"peer:{tenant}:kpi:{currency}:{limit}")
    if body is None:
        raise HTTPException(404, "not_found")
    return Response(body, media_type="application/json")
