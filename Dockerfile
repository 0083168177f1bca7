# Kinora in a container: docker build -t kinora . && docker run -p 8080:8080 -p 1935:1935 -p 8554:8554 \
#   -v kinora-data:/data -e KINORA_AUTH__ADMIN_TOKEN=<at least 16 characters> kinora
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json LICENSE README.md CHANGELOG.md ./
COPY scripts scripts
COPY src src
COPY bin bin
RUN node scripts/build.mjs

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    KINORA_DATA_DIRECTORY=/data \
    KINORA_HTTP__HOST=0.0.0.0 \
    KINORA_RTMP__HOST=0.0.0.0 \
    KINORA_RTSP__HOST=0.0.0.0 \
    KINORA_RTSP__UDP=false
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE README.md CHANGELOG.md ./
COPY bin bin
COPY models models
COPY fixtures fixtures
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080 1935 8554
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/kinora.cjs"]
CMD ["serve"]
