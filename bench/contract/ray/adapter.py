"""The adapter in front of Ray Serve: /invocations goes to port 8000, /ping asks its proxy."""

from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

BACKEND = "http://127.0.0.1:8000"
TIMEOUT_S = 300
HEALTH_TIMEOUT_S = 5.0


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/invocations")
async def invocations(request: Request):
    accept = request.headers.get("Accept", "application/json")
    headers = {
        "Content-Type": request.headers.get("Content-Type", "application/json"),
        "Accept": accept,
    }
    for name, value in request.headers.items():
        if name.lower().startswith("x-amzn-sagemaker-"):
            headers[name] = value
    try:
        body = await request.body()
        answer = await request.app.state.client.post(f"{BACKEND}/", content=body, headers=headers)
    except httpx.TimeoutException:
        return Response('{"error": "Request timeout"}', 504, media_type="application/json")
    except httpx.ConnectError:
        return Response('{"error": "Service unavailable"}', 503, media_type="application/json")
    kind = answer.headers.get("Content-Type", accept)
    return Response(answer.content, answer.status_code, media_type=kind)


@app.get("/ping")
async def ping(request: Request):
    try:
        url = f"{BACKEND}/-/healthz"
        answer = await request.app.state.client.get(url, timeout=HEALTH_TIMEOUT_S)
    except Exception:
        return PlainTextResponse("", 503)
    return PlainTextResponse("", 200 if answer.status_code == 200 else 503)


if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=8080)
