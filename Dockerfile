# The images of the services, one a target: tracker, manager, query_engine, redis, fuseki; tools looks after them.
#
#   docker compose build                                    all of them, as docker-compose.yml says
#   docker build --target tracker --tag pllib-tracker .     one
#
# All run as user 10001, write to their volumes and /tmp only, and hold no compiler, installer or package index.
# Another base, such as a mirror's or one that holds the settings of pip and Maven, is a --build-arg.

ARG PYTHON_IMAGE=python:3.13-slim
ARG REDIS_IMAGE=redis:7.2-alpine
ARG MAVEN_IMAGE=maven:3-eclipse-temurin-17
ARG JAVA_IMAGE=eclipse-temurin:17-jre-alpine

# --- what the Python services are made of: the needs of one extra in pinned versions, and the code

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY pyproject.toml constraints.txt deploy/containers/install.sh ./
COPY pllib /app/pllib
COPY edge /app/edge

FROM build AS build-tracker
RUN sh install.sh tracker
COPY tracker /app/tracker
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS build-manager
RUN sh install.sh manager
COPY manager /app/manager
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS build-query
# With "query poly" it reads data beside the provenance, too (--stores).
ARG QUERY_EXTRAS=query
RUN sh install.sh ${QUERY_EXTRAS}
COPY query_engine /app/query_engine
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${PYTHON_IMAGE} AS service
COPY --chmod=0555 deploy/containers/service.sh deploy/containers/healthy.py /usr/local/bin/
RUN mkdir -p /data /secrets/access /secrets/queue /secrets/store && chown -R 10001:10001 /data /secrets && chmod -R 0700 /data /secrets
ENV PATH=/opt/pllib/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /data
USER 10001:10001

FROM service AS tracker
COPY --from=build-tracker /opt/pllib /opt/pllib
COPY --from=build-tracker /app /app
ENV PLLIB_TRACKER_HOST=0.0.0.0 PLLIB_TRACKER_DATA=/data
EXPOSE 8470
ENTRYPOINT ["service.sh", "tracker"]

FROM service AS manager
COPY --from=build-manager /opt/pllib /opt/pllib
COPY --from=build-manager /app /app
ENV PLLIB_MANAGER_HOST=0.0.0.0
EXPOSE 8471
ENTRYPOINT ["service.sh", "manager"]

FROM service AS query_engine
COPY --from=build-query /opt/pllib /opt/pllib
COPY --from=build-query /app /app
ENV PLLIB_QUERY_HOST=0.0.0.0 PLLIB_QUERY_DATA=/data
EXPOSE 8472
ENTRYPOINT ["service.sh", "query_engine"]

FROM service AS tools
COPY edge /app/edge
COPY deploy /app/deploy
USER 0:0
RUN mkdir -p /backups /query && chown 10001:10001 /backups /query && chmod 0700 /backups /query
USER 10001:10001
ENTRYPOINT ["service.sh", "deploy"]

# --- the work queue's server

FROM ${REDIS_IMAGE} AS redis
COPY --chmod=0444 deploy/containers/redis.conf /etc/pllib/redis.conf
COPY --chmod=0555 deploy/containers/redis.sh deploy/containers/redis-healthy.sh deploy/containers/new-secret.sh /usr/local/bin/
RUN mkdir -p /queue /secrets/queue && chown -R 10001:10001 /queue /secrets && chmod -R 0700 /queue /secrets
WORKDIR /queue
USER 10001:10001
EXPOSE 6379
ENTRYPOINT ["redis.sh"]

# --- the store: the same release, checksum and settings as the launcher's

FROM ${PYTHON_IMAGE} AS fuseki-settings
WORKDIR /build
COPY edge edge
COPY deploy deploy
RUN python3 -m deploy.containers.fuseki_settings /settings

FROM ${MAVEN_IMAGE} AS fuseki-program
WORKDIR /program
COPY --from=fuseki-settings /settings/artifact /settings/checksum /settings/
# A connection that says nothing for a minute is given up; what Maven 3.8 and 3.9 call that differs.
RUN for patience in 5 20 0; do \
      mvn -q -B -Dmaven.wagon.rto=60000 -Daether.connector.requestTimeout=60000 dependency:copy \
        -Dartifact="$(cat /settings/artifact)" -DoutputDirectory=/program && break; \
      sleep "$patience"; \
    done \
    && mv /program/*.jar /program/fuseki-server.jar \
    && sha512sum -c /settings/checksum

FROM ${JAVA_IMAGE} AS fuseki
COPY --from=fuseki-program /program/fuseki-server.jar /fuseki/fuseki-server.jar
COPY --from=fuseki-settings /settings /fuseki
COPY --chmod=0555 deploy/containers/fuseki.sh deploy/containers/fuseki-healthy.sh deploy/containers/new-secret.sh /usr/local/bin/
RUN mkdir -p /data /secrets/store && chown -R 10001:10001 /data /secrets && chmod -R 0700 /data /secrets
WORKDIR /data
USER 10001:10001
EXPOSE 3030
ENTRYPOINT ["fuseki.sh"]
