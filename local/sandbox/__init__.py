"""A sandbox that answers as the four public providers do: same paths, JSON shapes and errors, no network.

Each prefix stands for a live base address; replace one by the other and nothing else changes:

| prefix         | live base address                      | call                                                  |
|----------------|----------------------------------------|-------------------------------------------------------|
| `/geocoding`   | `https://geocoding-api.open-meteo.com` | `GET /v1/search?name=Austin&count=10`                 |
| `/forecast`    | `https://api.open-meteo.com`           | `GET /v1/forecast?latitude=&longitude=&current=`      |
| `/quotes`      | `https://quoteslate.vercel.app`        | `GET /api/quotes/random?tags=wisdom`                  |
| `/frankfurter` | `https://api.frankfurter.dev`          | `GET /v1/latest?base=USD&symbols=EUR,GBP&amount=10`   |
| `/github`      | `https://api.github.com`               | `GET /users/octocat`                                  |

What a provider answers is derived from the input alone (only dates and times are those of today), so that a test can
ask twice and compare. Tests steer it by `PUT /_control/{geocoding|forecast|quotes|frankfurter|github}`: see `faults`.
"""
